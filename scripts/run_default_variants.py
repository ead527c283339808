"""What was tried to better the default strategy, on tasks and seeds that docs/label_efficiency.md does not report.

    python scripts/run_default_variants.py --data ../shared/data --work build/efficiency --out docs/default_variants.md

The work folder is that of run_label_efficiency.py, whose defect-aware vectors are read. Plain numpy, dense kernels: to
judge ideas on a thousand images before anybody writes them for a million. Finished trials are kept in --work.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from default_variants.picks import COMMITTEE, VARIANTS
from default_variants.tasks import TASKS
from run_label_efficiency import run_set

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.summary import curve_area, mean_interval
from activesel.benchmark.trial import Protocol, make_bench, run_trial

SEEDS = tuple(range(100, 106))


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


if __name__ == "__main__":
    main()
