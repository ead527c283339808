"""How many images of a rare class the first 100 labels find, given five examples of it: docs/rare_class.md.

    python scripts/run_rare_class.py --data ../shared/data/magnetic_tile --work build/rare --out docs/rare_class.md

The pool: all good images, and one image each of so many near-duplicate groups of one defect class that they make up the
prevalence; each class in turn. Known beforehand: five images of other groups of the class, and 20 random good ones. The
100 labels are picked at once, or in five batches of 20 whose answers count: found ones become examples for everybody.
Ten seeds draw the groups; every method sees the same pool and the same start.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import activesel
from activesel.benchmark.dataset import Dataset
from activesel.benchmark.inputs import read_images
from activesel.benchmark.summary import compare, mean_interval
from activesel.projection import reduce_dimensions
from activesel.training.head import DEFAULT_STRENGTH, fit_head
from activesel.workspace import create_workspace

METHODS = ("random", "margin", "k-center", "default", "similarity", "exemplars", "focus")
N_EXAMPLES, N_GOOD, N_LABELS, COMPONENTS = 5, 20, 100, 256
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mine:
    """A pool with one rare class. is_rare: (n,). labelled: what is known, in the order it was labelled."""

    vectors: npt.NDArray[np.float32]
    is_rare: npt.NDArray[np.bool_]
    labelled: Rows
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv and images")
    parser.add_argument("--group-column", default="neardup_group")
    parser.add_argument("--good", default="free")
    parser.add_argument("--work", type=Path, required=True, help="where vectors are kept")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--prevalences", type=float, nargs="+", default=[0.01, 0.002])
    args = parser.parse_args()
    parts = [describe(args)]
    for pooling in ("defect-aware", "plain"):
        workspace = create_workspace(args.work / pooling, [f"embedding.pooling={pooling}"])
        with workspace.lock("bench"):
            dataset, _ = read_images(workspace, str(args.data / "labels.csv"), None, args.group_column)
        dataset = replace(dataset, vectors=reduce_dimensions(dataset.vectors, COMPONENTS).astype(np.float32))
        for prevalence in args.prevalences:
            table = measure(dataset, args.good, prevalence, args.seeds)
            parts.append(f"## {pooling.capitalize()} vectors, prevalence {prevalence:.1%}\n\n{table}")
            print(parts[-1] + "\n", flush=True)
    args.out.write_text("\n\n".join(parts) + "\n", encoding="utf8")


def describe(args: argparse.Namespace) -> str:
    return "\n".join([
        "# Mining a rare class", "",
        f"    python scripts/run_rare_class.py --data {args.data} --work {args.work} --out {args.out}", "",
        f"The pool: all good images of {args.data.name} and one image each of so many near-duplicate groups of one",
        f"defect class that they make up the prevalence; each class in turn, {args.seeds} seeds. Known beforehand:",
        f"{N_EXAMPLES} images of other groups of the class and {N_GOOD} random good ones. Then {N_LABELS} labels: at",
        "once, or in five batches of 20 whose answers count, found ones as further examples for everybody.",
        "*Similarity* ranks by the largest cosine to an example, *exemplars* is FLQMI. Found: mean share of the rare",
        "images in the pool, ± its 95 % t-interval over classes and seeds. x random: as a multiple of what random is",
        "expected to find. Won: runs in which focus found more than this one, and fewer.",
    ])  # fmt: skip


def measure(dataset: Dataset, good: str, prevalence: float, n_seeds: int) -> str:
    """Return the table of all methods, both ways of labelling, and of focus by class."""
    rare = [number for number, name in enumerate(dataset.class_names) if name != good]
    good_class = dataset.class_names.index(good)
    once, batches = defaultdict(list), defaultdict(list)
    by_class = defaultdict(list)
    sizes = []
    for number in rare:
        for seed in range(n_seeds):
            mine = make_mine(dataset, number, good_class, prevalence, seed)
            n_rare = int(mine.is_rare.sum()) - N_EXAMPLES
            sizes.append((n_rare, len(mine.vectors) - len(mine.labelled)))
            for name in METHODS:
                once[name].append(dig(mine, name, 1) / n_rare)
                batches[name].append(dig(mine, name, 5) / n_rare)
            by_class[dataset.class_names[number]].append((once["similarity"][-1], once["focus"][-1]))
    n_rare, n = np.mean(sizes, axis=0)
    lines = [
        f"On average {n_rare:.1f} rare images among {n:.0f} unlabelled ones; {len(sizes)} runs.",
        "",
        "| method | found at once | x random | won | found in batches | x random | won |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in METHODS:
        cells = [cell for found in (once, batches) for cell in tell(found[name], N_LABELS / n, found["focus"])]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "At once, by class (similarity, focus): " + "; ".join(
        f"{name} {np.mean([a for a, _ in pairs]):.0%}, {np.mean([b for _, b in pairs]):.0%}"
        for name, pairs in by_class.items()) + "."]  # fmt: skip
    return "\n".join(lines)


def tell(found: Sequence[float], expected: float, focus: Sequence[float]) -> list[str]:
    mean, half = mean_interval(found)
    ahead, behind = compare(focus, found).wins, compare(found, focus).wins
    won = "" if found is focus else f"{ahead}, {behind}"
    return [f"{mean:.1%} ± {half:.1%}", f"{mean / expected:.1f}", won]


def make_mine(dataset: Dataset, number: int, good: int, prevalence: float, seed: int) -> Mine:
    rng = np.random.default_rng(seed)
    members = rng.permutation(np.flatnonzero(dataset.classes == number))
    groups, first = np.unique(dataset.groups[members], return_index=True)
    order = rng.permutation(len(groups))
    chosen = members[first[order]]  # one image a group
    examples, rest = chosen[:N_EXAMPLES], chosen[N_EXAMPLES:]
    usual = np.flatnonzero(dataset.classes == good)
    usual = usual[~np.isin(dataset.groups[usual], dataset.groups[chosen])]
    n_rare = max(1, round(prevalence / (1 - prevalence) * (len(usual) - N_GOOD)))
    rows = np.concatenate([usual, rest[:n_rare], examples])
    is_rare = np.arange(len(rows)) >= len(usual)
    known = rng.choice(len(usual), N_GOOD, replace=False)
    labelled = np.concatenate([np.arange(len(rows) - len(examples), len(rows)), known])
    return Mine(dataset.vectors[rows], is_rare, labelled, seed)


def dig(mine: Mine, name: str, n_batches: int) -> int:
    """Return how many rare images ``N_LABELS`` picks find."""
    labelled = mine.labelled
    for number in range(n_batches):
        rows = pick(mine, labelled, name, N_LABELS // n_batches, mine.seed * 100 + number)
        labelled = np.concatenate([labelled, rows])
    return int(mine.is_rare[labelled[len(mine.labelled) :]].sum())


def pick(mine: Mine, labelled: Rows, name: str, size: int, seed: int) -> Rows:
    known = labelled[mine.is_rare[labelled]]
    if name == "similarity":
        score = (mine.vectors @ mine.vectors[known].T).max(axis=1)
        score[labelled] = -np.inf
        return np.argsort(-score, kind="stable")[:size]
    classes = mine.is_rare[labelled].astype(np.int64)
    probs = None
    if name in ("margin", "default"):
        head = fit_head(mine.vectors[labelled], classes, 2, seed=seed, strength=DEFAULT_STRENGTH)
        probs = head.probabilities(mine.vectors)
    around = {"exemplars": {"exemplars": mine.vectors[known]}, "focus": {"focus": 1}}.get(name, {})
    return activesel.select(mine.vectors, budget=size, strategy=name, labelled=labelled, classes=classes, probs=probs,
                            seed=seed, **around).rows  # fmt: skip


if __name__ == "__main__":
    main()
