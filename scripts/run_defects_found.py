"""Count the defects in one batch of every strategy against random, on real images with 100 labels known.

    python scripts/run_defects_found.py --data ../shared/data/magnetic_tile --good free --out docs/defects_found.md

For each seed 100 random images are labelled; every strategy then picks 100 more with the shipped settings (linear
head, 256 components, near-duplicate cap). Seeds are paired: random picks from the same pool with the same labels. The
interval is the 95 % t-interval of the mean difference to random over seeds.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

import activesel
from activesel.config import load_config
from activesel.pipelines.embed import embed, load_vectors
from activesel.pipelines.ingest import ingest
from activesel.projection import reduce_dimensions
from activesel.strategies import strategy_names
from activesel.workspace import create_workspace


def read_pool(data: Path, good: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embed the images of ``data`` and return vectors (n, d), class indices (n,) and which are defects (n,)."""
    from activesel.catalog import Catalog

    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder))
        ingest(workspace, str(data / "labels.csv"))
        with Catalog.open(workspace.catalog_place) as catalog:
            rows, labels = catalog.images(), catalog.labels()
        embed(workspace, rows)
        vectors = load_vectors(workspace, [row.image_id for row in rows])
    names = np.array([labels[row.image_id].name for row in rows])
    return (
        reduce_dimensions(vectors, load_config().selection.components),
        np.unique(names, return_inverse=True)[1],
        names != good,
    )


def count_defects(
    vectors: np.ndarray, classes: np.ndarray, defect: np.ndarray, name: str, seed: int, size: int
) -> tuple[int, int]:
    """Return how many defects and how many distinct classes one batch holds."""
    labelled = np.random.default_rng(seed).choice(len(vectors), size, replace=False)
    config = load_config()
    rare = labelled[defect[labelled]]
    picks = activesel.select(
        vectors, budget=size, labelled=labelled, classes=classes[labelled], strategy=name, seed=seed,
        near_duplicate=config.duplicates.similarity, group_cap=config.duplicates.group_cap,
        neighbours=config.selection.neighbours, exemplars=rare if name == "exemplars" and len(rare) else None,
    )  # fmt: skip
    return int(defect[picks.rows].sum()), len(np.unique(classes[picks.rows]))


def summarise(name: str, found: np.ndarray, kinds: np.ndarray, random: np.ndarray) -> str:
    difference = found - random
    half = 0.0
    if difference.std() > 0:
        half = stats.t.ppf(0.975, len(found) - 1) * difference.std(ddof=1) / np.sqrt(len(found))
    won = f"{(difference > 0).sum()} of {len(found)}"
    return f"| {name} | {found.mean():.1f} | {difference.mean():+.1f} ± {half:.1f} | {won} | {kinds.mean():.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv (path,label) and images")
    parser.add_argument("--good", required=True, help="the label of images without a defect")
    parser.add_argument("--size", type=int, default=100, help="labels known, and picks per batch")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="Markdown file to write; the table is printed anyway")
    args = parser.parse_args()
    vectors, classes, defect = read_pool(args.data, args.good)
    seeds = range(args.seeds)
    names = ["random", "default", *(name for name in strategy_names() if name not in ("random", "default"))]
    lines = []
    random = np.array([])
    for name in names:
        counts = np.array([count_defects(vectors, classes, defect, name, seed, args.size) for seed in seeds])
        random = counts[:, 0] if name == "random" else random
        lines.append(summarise(name, counts[:, 0], counts[:, 1], random))
        print(lines[-1], flush=True)
    if args.out:
        args.out.write_text(describe(args, len(vectors), int(defect.sum()), lines), encoding="utf8")


def describe(args: argparse.Namespace, n: int, n_defects: int, lines: list[str]) -> str:
    with (args.data / "labels.csv").open(encoding="utf8") as stream:
        n_classes = len({row["label"] for row in csv.DictReader(stream)})
    return "\n".join([
        "# Defects found in one batch", "",
        f"{args.data.name}: {n:,} images, {n_defects} with a defect, {n_classes} classes. {args.size} random images",
        f"are labelled, then each strategy picks {args.size} more; {args.seeds} paired seeds. Made by", "",
        f"    python scripts/run_defects_found.py --data {args.data} --good {args.good} --out {args.out}", "",
        "| strategy | defects in the batch | more than random (95 % interval) | seeds won | classes met |",
        "|---|---|---|---|---|", *lines, "",
        "Finding defects is not yet a better model: label efficiency is measured apart. A batch that holds only",
        "defects would starve the model of good parts.", "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
