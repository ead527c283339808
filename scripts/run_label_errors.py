"""Flip labels of a known set, look for them, and count what is found, beside cleanlab where it is installed.

    python scripts/run_label_errors.py --labels magnetic_tile/labels.csv --workspace FOLDER --out docs/label_errors.md

Vectors are cut to 256 principal components, as a selection does: the fits take a fifth of the time.
FOLDER is a workspace into which the images of the label file were ingested; it keeps the vectors.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.labelerrors import find_label_errors
from activesel.pipelines.embed import embed_missing, load_vectors
from activesel.projection import reduce_dimensions
from activesel.seeds import derive_rng
from activesel.training.held_out import hold_out_head
from activesel.workspace import find_workspace

N_COMPONENTS = 256
HEAD = """# Label errors

`activesel label-errors` ranks labels that the other images speak against: confident learning (Northcutt, Jiang & Chuang
2021, arXiv:1911.00068), on probabilities of the linear head that saw none of the image's group. What is in doubt is for
people to look at; nothing is changed. Evaluation labels are neither asked nor doubted. `--like CLASS` lists labels of
other classes that may be of a class that nobody knew when they were given, likeliest first.

## Measured
Written by `scripts/run_label_errors.py`. A share of the images, or of whole near-duplicate groups, gets another class;
the finder is told the flipped labels only. Precision: of what is found, flipped. Recall: of what is flipped, found. At
n: of the first n of the list, n = the number flipped. *sure*: what counts off the diagonal of the confident joint. *by
margin*: ranked by p(label) - p(likeliest) instead of p(label). *folds split groups*: near-duplicates of an image may
teach what judges it. cleanlab gets our probabilities and ranks by normalised margin.

The first of the list are the ones to look at: ranked by p(label) they hold more flips than ranked by margin. Folds that
keep groups whole find nearly all errors that a whole group shares, such as a part that was labelled wrongly once for
all its pictures; where errors come image by image, near-duplicates with the right label tell more, and are not asked.
What is found and was not flipped is not all wrong: the set has doubtful labels of its own.

"""


@dataclass(frozen=True)
class Score:
    precision: float
    recall: float
    at_n: float
    n_found: int


def main() -> None:
    asked = parse()
    vectors, classes, groups = read(asked.labels, asked.workspace, asked.group_column)
    rows = []
    for share in asked.shares:
        scores: dict[str, list[Score]] = {}
        for seed in range(asked.seeds):
            for by in ("images", "groups"):
                for name, score in measure(vectors, classes, groups, draw(classes, groups, share, by, seed)).items():
                    scores.setdefault(f"{share:.0%} of {by} | {name}", []).append(score)
                    print(share, by, seed, name, score, flush=True)
        rows += [describe(name, some) for name, some in sorted(scores.items())]
    text = HEAD + f"{asked.labels.parent.name}: {len(classes)} images of {classes.max() + 1} classes in "
    text += f"{groups.max() + 1} groups, {asked.seeds} draws each; mean, and from the least to the most.\n\n"
    text += "| flipped | finder | precision | recall | precision at n | found |\n|--:|---|--:|--:|--:|--:|\n"
    asked.out.write_text(text + "\n".join(rows) + "\n", encoding="utf8")
    print(asked.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--group-column", default="neardup_group")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def read(
    labels: Path, folder: Path, group_column: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return vectors (m, d), classes (m,) and groups (m,) of the label file's images."""
    with labels.open(encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    workspace = find_workspace(folder)
    with Catalog.open(workspace.catalog_path) as catalog:
        images, ids = catalog.list_images(), catalog.resolve()
    embed_missing(workspace, images)
    paths = [str((labels.parent / row["path"]).resolve()) for row in rows]
    vectors = reduce_dimensions(load_vectors(workspace, [ids[path] for path in paths]), N_COMPONENTS)
    codes = [np.unique([row[name] for row in rows], return_inverse=True)[1] for name in ("label", group_column)]
    return np.asarray(vectors, np.float32), codes[0].astype(np.int64), codes[1].astype(np.int64)


def draw(
    classes: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], share: float, by: str, seed: int
) -> npt.NDArray[np.int64]:
    """Return the classes with a share of the images, or of the groups with all their images, under another one."""
    rng = derive_rng(seed, "flip", by)
    units = np.arange(len(classes)) if by == "images" else groups
    n_units, n_classes = int(units.max()) + 1, int(classes.max()) + 1
    moves = np.zeros(n_units, np.int64)
    flipped = rng.choice(n_units, round(share * n_units), replace=False)
    moves[flipped] = rng.integers(1, n_classes, len(flipped))
    return (classes + moves[units]) % n_classes


def measure(
    vectors: npt.NDArray[np.float32], classes: npt.NDArray[np.int64], groups: npt.NDArray[np.int64],
    given: npt.NDArray[np.int64],
) -> dict[str, Score]:  # fmt: skip
    """Find what differs between given and true classes, and score each finder."""
    n_classes, flipped = int(classes.max()) + 1, np.flatnonzero(given != classes)
    held = hold_out_head(vectors, given, groups, n_classes).probs
    split = hold_out_head(vectors, given, np.arange(len(given)), n_classes).probs
    doubts, loose = find_label_errors(held, given), find_label_errors(split, given)
    found = {
        "ours": doubts.rows, "ours, sure": doubts.rows[doubts.confident],
        "ours by margin": doubts.rows[np.argsort(doubts.margin, kind="stable")],
        "ours, folds split groups": loose.rows,
    }  # fmt: skip
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        pass
    else:
        for rule in ("confident_learning", "prune_by_noise_rate"):
            found[f"cleanlab, {rule}"] = find_label_issues(
                given, held, filter_by=rule, return_indices_ranked_by="normalized_margin", n_jobs=1
            )
    return {name: score(rows, flipped) for name, rows in found.items()}


def score(rows: npt.NDArray[np.int64], flipped: npt.NDArray[np.int64]) -> Score:
    hits = np.isin(rows, flipped)
    found = float(hits.sum())
    at_n = float(hits[: len(flipped)].sum()) / len(flipped)
    return Score(found / max(1, len(rows)), found / len(flipped), at_n, len(rows))


def describe(name: str, scores: list[Score]) -> str:
    """Return a table row."""
    cells = []
    for values in zip(*((one.precision, one.recall, one.at_n) for one in scores), strict=True):
        cells.append(f"{np.mean(values):.2f} ({min(values):.2f} .. {max(values):.2f})")
    return f"| {name} | {' | '.join(cells)} | {np.mean([one.n_found for one in scores]):.0f} |"


if __name__ == "__main__":
    main()
