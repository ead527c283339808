"""What was tried to better the default strategy, on tasks and seeds that docs/label_efficiency.md does not report.

    python scripts/run_default_variants.py --data ../shared/data --work build/efficiency --out docs/default_variants.md

The work folder is that of run_label_efficiency.py, whose defect-aware vectors are read. Plain numpy, dense kernels: to
judge ideas on a thousand images before anybody writes them for a million. Finished trials are kept in --work.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from run_label_efficiency import run_set

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.peers import find_chooser
from activesel.benchmark.summary import curve_area, mean_interval
from activesel.benchmark.trial import Chooser, Protocol, Round, make_bench, run_trial
from activesel.training.head import DEFAULT_STRENGTH, fit_head
from activesel.uncertainty import score_margin, temper

SEEDS = tuple(range(100, 106))
BANDWIDTH, NARROW = 0.45, 0.2
COMMITTEE = 8
Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.seeds, args.workers = 1, 2  # of the one strategy that run_set needs to read a set
    found: dict[tuple[str, str], list[float]] = {}
    for task in TASKS:
        name = task.split()[0]
        dataset = run_set(args, name, "defect-aware", ("random",)).dataset
        for seed in SEEDS:
            areas = run_seed(dataset, task, seed, args.work / "variants")
            for variant, area in areas.items():
                found.setdefault((variant, task), []).append(area)
    args.out.write_text(describe(args) + "\n\n" + tabulate(found) + "\n", encoding="utf8")
    print(tabulate(found))


def run_seed(dataset: Dataset, task: str, seed: int, kept: Path) -> dict[str, float]:
    """Return the area of every variant on one split of one task."""
    protocol = replace(Protocol(head="fixed"), batch=10 if "one usual" in task else 20)
    kept.mkdir(parents=True, exist_ok=True)
    bench = None
    areas = {}
    for variant, chooser in VARIANTS.items():
        path = kept / sha256(f"{variant}|{task}|{seed}".encode()).hexdigest()[:32]
        if not path.exists():
            if bench is None:
                part = TASKS[task](dataset, seed)
                bench = make_bench(part, split_by_group(part, seed), protocol, seed)
            path.write_text(json.dumps(curve_area(run_trial(bench, chooser, protocol))), encoding="utf8")
        areas[variant] = float(json.loads(path.read_text(encoding="utf8")))
    return areas


def describe(args: argparse.Namespace) -> str:
    return "\n".join([
        "# What was tried on the default", "",
        f"    python scripts/run_default_variants.py --data {args.data} --work {args.work} --out {args.out}", "",
        f"Defect-aware vectors, fixed head, seeds {SEEDS[0]} .. {SEEDS[-1]}, otherwise as [label_efficiency.md]"
        "(label_efficiency.md), whose seeds are others.",
        "Area under macro-F1, and the mean over the tasks with the 95 % t-interval of its paired difference from the",
        "default. *Good or defect*: two classes. *One usual*: 300 images of one class, 12 of each other, batches of",
        "10. *Rare*: 1,500 cells without and 80 with a sure defect.", "",
        "* *doubt of the neighbours too*: margin times its mean over the neighbourhood, as one doubtful image among",
        "  sure ones may be a wrong label.",
        "* *recentred*: each pick moved to the image nearest the mean of those that it stands for.",
        "* *first batch half coverage*, *half coverage*: half of the picks by sparse-coverage's rule, then by",
        "  the default's.",
        "* *coverage for want of skill*: that share of a batch by sparse-coverage's rule which the model lacks of",
        "  skill, squared; skill is balanced accuracy on left-out labels, chance 0. *Trust by skill*: the doubt's",
        "  exponent from 0.5 without skill to 3.",
        f"* *committee*: doubt of the mean of {COMMITTEE} heads on bootstraps of the labels. *Rare predictions first*:",
        "  times the mean of 1 / sqrt(share of the class among the predictions).",
    ])  # fmt: skip


def tabulate(found: Mapping[tuple[str, str], list[float]]) -> str:
    lines = ["| variant | " + " | ".join(TASKS) + " | mean | against the default |",
             "|---" * (len(TASKS) + 3) + "|"]  # fmt: skip
    base = np.mean([found["default", task] for task in TASKS], axis=0)
    means = {name: np.mean([found[name, task] for task in TASKS], axis=0) for name in VARIANTS}
    for name in sorted(VARIANTS, key=lambda name: -means[name].mean()):
        cells = [f"{statistics.mean(found[name, task]):.3f}" for task in TASKS]
        difference, half = mean_interval(means[name] - base)
        against = "" if name == "default" else f"{difference:+.3f} ± {half:.3f}"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {means[name].mean():.3f} | {against} |")
    return "\n".join(lines)


def _whole(dataset: Dataset, _seed: int) -> Dataset:
    return dataset


def _good_or_defect(dataset: Dataset, _seed: int) -> Dataset:
    good = int(np.bincount(dataset.classes).argmax())
    return replace(dataset, classes=(dataset.classes != good).astype(np.int64), class_names=("good", "defect"))


def _one_usual(dataset: Dataset, seed: int) -> Dataset:
    counts = np.full(len(dataset.class_names), 12)
    counts[seed % len(counts)] = 300
    return _take(dataset, counts, seed)


def _rare(dataset: Dataset, seed: int) -> Dataset:
    return _take(dataset, np.array([1500, 0, 0, 80]), seed)


def _take(dataset: Dataset, counts: npt.NDArray[np.int64], seed: int) -> Dataset:
    """Keep so many random images of each class, and the classes that have any."""
    rng = np.random.default_rng(seed)
    shuffled = (rng.permutation(np.flatnonzero(dataset.classes == number)) for number in range(len(counts)))
    rows = np.sort(np.concatenate([rows[:count] for rows, count in zip(shuffled, counts, strict=True)]))
    present, classes = np.unique(dataset.classes[rows], return_inverse=True)
    names = tuple(dataset.class_names[number] for number in present)
    return Dataset(dataset.vectors[rows], classes, names, dataset.groups[rows])


def _kernel(rows: npt.NDArray[np.float32], bandwidth: float) -> Array:
    return np.asarray(np.exp(-np.maximum(2 - 2 * (rows @ rows.T), 0) / bandwidth))


def _doubt(shown: Round, temperature: float = 2.0) -> Array:
    if shown.probs is None:
        return np.ones(len(shown.vectors))
    return np.maximum(score_margin(temper(shown.probs, temperature)).astype(np.float64), 1e-6)


def _weight(shown: Round) -> Array:
    return np.asarray(_doubt(shown) ** 2 * _kernel(shown.vectors, BANDWIDTH).mean(axis=1) ** 0.25)


def _farthest(shown: Round, known: Rows, weight: Array, size: int) -> Rows:
    """Plain weighted k-center; the heaviest first where nothing is known."""
    rows = shown.vectors
    distance = np.full(len(rows), 2.0)
    if len(known):
        distance = np.sqrt(np.maximum(2 - 2 * (rows @ rows[known].T).max(axis=1), 0))
    is_open = np.ones(len(rows), bool)
    is_open[known] = False
    picked: list[int] = []
    for _ in range(size):
        best = int(np.where(is_open, weight * distance, -1.0).argmax())
        picked.append(best)
        is_open[best] = False
        distance = np.minimum(distance, np.sqrt(np.maximum(2 - 2 * (rows @ rows[best]), 0)))
    return np.array(picked)


def _coverage(shown: Round, size: int) -> Rows:
    """Sparse-coverage's rule with all pairs instead of a graph."""
    kernel = _kernel(shown.vectors, BANDWIDTH)
    weight = _doubt(shown, 2.5) / kernel.mean(axis=1) ** 1.15
    covered = kernel[shown.labelled].max(axis=0) if len(shown.labelled) else np.zeros(len(kernel))
    picked: list[int] = []
    for _ in range(size):
        gain = np.maximum(kernel - covered, 0) @ weight
        gain[[*shown.labelled, *picked]] = -1
        picked.append(int(gain.argmax()))
        covered = np.maximum(covered, kernel[picked[-1]])
    return np.array(picked)


def _pick_by_neighbours(shown: Round) -> Rows:
    kernel = _kernel(shown.vectors, NARROW)
    doubt = _doubt(shown)
    around = kernel @ doubt / kernel.sum(axis=1)
    density = _kernel(shown.vectors, BANDWIDTH).mean(axis=1)
    return _farthest(shown, shown.labelled, doubt * around * density**0.25, shown.batch)


def _pick_recentred(shown: Round) -> Rows:
    rows, doubt = shown.vectors, _doubt(shown) ** 2
    picked = _farthest(shown, shown.labelled, _weight(shown), shown.batch)
    likeness = rows @ rows[picked].T
    owner, nearest = likeness.argmax(axis=1), likeness.max(axis=1)
    if len(shown.labelled):
        owner[(rows @ rows[shown.labelled].T).max(axis=1) > nearest] = -1
    owner[shown.labelled] = -1
    owner[picked] = np.arange(len(picked))
    moved = []
    for number in range(len(picked)):
        members = np.flatnonzero(owner == number)
        centre = doubt[members] @ rows[members]
        moved.append(int(members[(rows[members] @ centre).argmax()]))
    return np.array(moved)


def _pick_both(shown: Round) -> Rows:
    first = _coverage(shown, shown.batch // 2)
    known = np.concatenate([shown.labelled, first]).astype(np.int64)
    return np.concatenate([first, _farthest(shown, known, _weight(shown), shown.batch - len(first))])


def _skill(shown: Round) -> float:
    """Return what least squares knows of the labels at hand, 0 no better than chance .. 1 all: balanced accuracy with
    each label left out in turn, in closed form."""
    present, classes = np.unique(shown.classes, return_inverse=True)
    if len(present) < 2:
        return 0.0
    rows = shown.vectors[shown.labelled].astype(np.float64)
    rows = rows - rows.mean(axis=0)
    kernel = rows @ rows.T
    inverse = np.linalg.inv(kernel + 0.1 * np.trace(kernel) / len(kernel) * np.eye(len(kernel)))
    wanted = np.eye(len(present))[classes] / np.bincount(classes)[classes, None] ** 0.5
    left_out = wanted - (inverse @ wanted) / np.diag(inverse)[:, None]
    right = left_out.argmax(axis=1) == classes
    balanced = float(np.mean([right[classes == one].mean() for one in range(len(present))]))
    return max(0.0, (balanced - 1 / len(present)) / (1 - 1 / len(present)))


def _pick_by_skill(shown: Round) -> Rows:
    """As much coverage as the model lacks skill."""
    if shown.probs is None:
        return _farthest(shown, shown.labelled, _weight(shown), shown.batch)
    size = round(shown.batch * (1 - _skill(shown)) ** 2)
    first = _coverage(shown, size) if size else np.empty(0, np.int64)
    known = np.concatenate([shown.labelled, first]).astype(np.int64)
    return np.concatenate([first, _farthest(shown, known, _weight(shown), shown.batch - size)]).astype(np.int64)


def _trust_by_skill(shown: Round) -> Rows:
    """The exponent of the doubt from 0.5 without skill to 3 with all."""
    trust = 0.5 + 2.5 * (_skill(shown) if shown.probs is not None else 0.0)
    weight = _doubt(shown) ** trust * _kernel(shown.vectors, BANDWIDTH).mean(axis=1) ** 0.25
    return _farthest(shown, shown.labelled, weight, shown.batch)


def _pick_by_committee(shown: Round) -> Rows:
    """Doubt of the mean of heads, each fitted on a bootstrap of the labels."""
    return _farthest(shown, shown.labelled, _weight(_ask_committee(shown)), shown.batch)


def _pick_by_all(shown: Round) -> Rows:
    """The committee's doubt, and that of the neighbours, trusted by skill."""
    asked = _ask_committee(shown)
    kernel, doubt = _kernel(shown.vectors, NARROW), _doubt(asked)
    both = doubt * (kernel @ doubt / kernel.sum(axis=1))
    trust = 0.5 + _skill(shown) if shown.probs is not None else 1.0
    weight = both**trust * _kernel(shown.vectors, BANDWIDTH).mean(axis=1) ** 0.25
    return _farthest(shown, shown.labelled, weight, shown.batch)


def _pick_by_committee_and_neighbours(shown: Round) -> Rows:
    return _pick_by_neighbours(_ask_committee(shown))


def _ask_committee(shown: Round) -> Round:
    if shown.probs is None:
        return shown
    rng = np.random.default_rng(shown.seed + len(shown.labelled))
    members = []
    for _ in range(COMMITTEE):
        some = rng.integers(0, len(shown.labelled), len(shown.labelled))
        if len(np.unique(shown.classes[some])) > 1:
            members.append(_fitted(shown, some))
    return replace(shown, probs=np.mean([shown.probs, *members], axis=0))


def _fitted(shown: Round, some: Rows) -> npt.NDArray[np.float32]:
    head = fit_head(
        shown.vectors[shown.labelled[some]], shown.classes[some], shown.n_classes, strength=DEFAULT_STRENGTH
    )
    return np.asarray(head.probabilities(shown.vectors), np.float32)


def _pick_by_class(shown: Round) -> Rows:
    """Images taken for a class that is rare among the predictions first."""
    weight = _weight(shown)
    if shown.probs is not None:
        share = np.maximum(shown.probs.mean(axis=0), 1e-3)
        weight = weight * (shown.probs @ share**-0.5)
    return _farthest(shown, shown.labelled, weight, shown.batch)


def _only_cold(pick: Chooser) -> Chooser:
    usual = find_chooser("default")
    return lambda shown: pick(shown) if shown.probs is None else usual(shown)


TASKS: dict[str, Callable[[Dataset, int], Dataset]] = {
    "magnetic_tile": _whole, "neu_det": _whole, "elpv": _whole, "magnetic_tile good or defect": _good_or_defect,
    "neu_det one usual": _one_usual, "elpv rare": _rare,
}  # fmt: skip
VARIANTS: dict[str, Chooser] = {
    "default": find_chooser("default"),
    "trust 1": find_chooser("default/trust=1.0"),
    "no density": find_chooser("default/density_power=0.0"),
    "doubt of the neighbours too": _pick_by_neighbours,
    "recentred": _pick_recentred,
    "first batch recentred": _only_cold(_pick_recentred),
    "first batch half coverage": _only_cold(_pick_both),
    "half coverage": _pick_both,
    "coverage for want of skill": _pick_by_skill,
    "trust by skill": _trust_by_skill,
    "committee": _pick_by_committee,
    "committee and neighbours": _pick_by_committee_and_neighbours,
    "committee, neighbours, trust by skill": _pick_by_all,
    "rare predictions first": _pick_by_class,
    "sparse-coverage": find_chooser("sparse-coverage"),
    "mundig:diversity-margin": find_chooser("mundig:diversity-margin"),
    "ska:Badge": find_chooser("ska:Badge"),
    "random": find_chooser("random"),
}

if __name__ == "__main__":
    main()
