"""Run simulated flywheels on real images and write docs/flywheel_measured.md with their curves.

    python scripts/run_flywheel.py --data ../shared/data --work build/flywheel --seeds 3

Each set: six rounds of 40 labels after 20 random ones, by two annotators and an expert who err, against a twin that
picks at random and a model with every label of the pool; groups of near-duplicates on one side. Killed and run again,
it goes on; --only NAME runs one set, and the page is written from all that are finished. --synthesis runs the twin
without variants, too, on the set with masks; its results lie beside the others and have a part of the page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from activesel.benchmark.summary import compare, mean_interval

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "flywheel_measured.md"
# Every label trains: the simulation has test images of its own, so nothing is put aside to validate or to test, and the
# gate, which has nothing to look at, holds. Two people label a tenth of each batch, as quality.overlap says.
COMMON = ("rounds.inconclusive=go on", "quality.half_width=1", "dataset.validation=0", "dataset.test=0")
SETS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "magnetic_tile": ("magnetic_tile/labels.csv", ("dataset.group_column=neardup_group",)),
    "neu_det": ("neu_det/labels.csv", ("dataset.group_column=neardup_group",)),
}
# With variants: more images of the two rare defects are wanted than the pool has, so variants of them are made, proved
# on the real images of the round, and trained on where the proof promotes them.
VARIED, VARIED_CLASSES = "magnetic_tile", ("crack", "fray")
VARIED_SETTINGS = ("rounds.synthesis_count=40",)
HEAD = """Written by `python scripts/run_flywheel.py --data ../shared/data`, `--only` and `--seeds` as below.

Half of each set is the pool; the other half, whole groups apart, only scores each round's newest model. Every label
trains, in the arms as in the model with all of them, since the test is outside: `dataset.validation` and `dataset.test`
are 0, and the gate has nothing to look at. ± is a 95 % interval over seeds; differences are paired."""
WITHIN, MOST_SHARE = 0.02, 0.4


def run_set(name: str, asked: argparse.Namespace) -> None:
    table, settings = SETS[name]
    out = folder_of(asked.work, name, varied=asked.synthesis)
    words = [sys.executable, "-m", "activesel", "simulate", "--oracle", str(asked.data / table), "--rounds",
             str(asked.rounds), "--budget", str(asked.budget), "--first", str(asked.first), "--seeds", str(asked.seeds),
             "--out", str(out)]  # fmt: skip
    if asked.synthesis:
        words.append("--synthesis")
        settings = (*settings, *VARIED_SETTINGS)
        write_requirements(out / "base" / "requirements.yaml", asked.data / table)
    words += [word for one in (*COMMON, *settings) for word in ("--set", one)]
    subprocess.run(words, check=True, cwd=ROOT)


def folder_of(work: Path, name: str, *, varied: bool) -> Path:
    return work / (f"{name}-synthesis" if varied else name)


def write_requirements(path: Path, table: Path) -> None:
    """Ask for 60 images of each rare defect; the masks are the table's. The first labels may have shown none yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([
        "schema_version: 1", "good: free", "group_column: neardup_group", f"masks: {table}", "classes:",
        *(f"  {name}: {{images: 60, unseen: true}}" for name in VARIED_CLASSES),
    ]) + "\n", encoding="utf8")  # fmt: skip


def describe(name: str, document: Mapping[str, Any]) -> list[str]:
    """Return the lines of one set: rounds of both arms, paired, and whether the goal is met."""
    points = document["points"]
    ours, random = points["activesel"], points["random"]
    full = float(np.mean([one["macro_f1"] for one in document["everything"]]))
    pool = float(np.mean(document["pool"]))
    rows = [
        f"## {name}", "",
        f"`--only {name} --seeds {document['seeds']}`: {document['images']} images of {len(document['classes'])} "
        f"classes, {pool:.0f} in the pool. A model with every label of the pool: macro-F1 {full:.3f}.", "",
        "| round | labels | of the pool | macro-F1 | random | difference | defects | random | money | random |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for number in range(len(ours[0])):
        here, there = [one[number] for one in ours], [one[number] for one in random]
        gain = compare(_f1(here), _f1(there))
        labels = _mean(here, "n_labels")
        rows.append(
            f"| {number + 1} | {labels:.0f} | {labels / pool:.0%} | {_say(_f1(here))} | {_say(_f1(there))} "
            f"| {gain.difference:+.3f}{_half(gain.half)} | {_mean(here, 'n_defects'):.0f} "
            f"| {_mean(there, 'n_defects'):.0f} | {_mean(here, 'money'):.2f} | {_mean(there, 'money'):.2f} |"
        )
    return [*rows, "", *_judge(ours, random, full, pool), ""]


def describe_varied(document: Mapping[str, Any]) -> list[str]:
    """Return the lines of the twin without variants: macro-F1 of both in every round, paired."""
    ours, without = document["points"]["activesel"], document["points"]["without variants"]
    rows = [
        f"## {VARIED}, with variants", "",
        f"`--synthesis --rounds {len(ours[0])} --seeds {document['seeds']}`: "
        f"{' and '.join(VARIED_CLASSES)} want 60 images each, more than the "
        "pool has, so variants of them are made every round, proved on the round's real images, and trained on where "
        "the proof promotes them. Where it promotes none, both flywheels are the same.", "",
        "| round | labels | macro-F1 | without variants | difference | variants trained on, by seed |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    behind = []
    for number in range(len(ours[0])):
        here, there = [one[number] for one in ours], [one[number] for one in without]
        gain = compare(_f1(here), _f1(there))
        behind += [number + 1] if gain.difference < 0 else []
        rows.append(
            f"| {number + 1} | {_mean(here, 'n_labels'):.0f} | {_say(_f1(here))} | {_say(_f1(there))} "
            f"| {gain.difference:+.3f}{_half(gain.half)} | {', '.join(str(one['n_variants']) for one in here)} |"
        )
    said = f"behind in round {', '.join(map(str, behind))}: not met" if behind else "met"
    if not any(one["n_variants"] for seed in ours for one in seed):
        said += ", and no more than that: the proof promoted none, so both are the same flywheel"
    return [*rows, "", f"Goal: with variants at least as good in every round: {said}.", ""]


def _judge(ours: Sequence[Any], random: Sequence[Any], full: float, pool: float) -> list[str]:
    lines = []
    for name, seeds in (("The flywheel", ours), ("The random twin", random)):
        for number in range(len(seeds[0])):
            here = [one[number] for one in seeds]
            labels, score = _mean(here, "n_labels"), float(np.mean(_f1(here)))
            if score >= full - WITHIN:
                share = labels / pool
                met = "met" if share <= MOST_SHARE else "not met"
                lines.append(f"{name} is within {WITHIN} of it with {labels:.0f} labels, {share:.0%} of the pool "
                             f"(goal: {MOST_SHARE:.0%}, {met}).")  # fmt: skip
                break
        else:
            last = [one[-1] for one in seeds]
            lines.append(f"{name} ends at {np.mean(_f1(last)):.3f} with {_mean(last, 'n_labels'):.0f} labels "
                         f"({_mean(last, 'n_labels') / pool:.0%} of the pool): {full - np.mean(_f1(last)):.3f} short "
                         f"of all labels (goal: {WITHIN} with {MOST_SHARE:.0%}, not met).")  # fmt: skip
    return lines


def _f1(points: Sequence[Any]) -> list[float]:
    return [float(one["newest"]["macro_f1"]) for one in points]


def _mean(points: Sequence[Any], name: str) -> float:
    return float(np.mean([one[name] for one in points]))


def _say(values: Sequence[float]) -> str:
    mean, half = mean_interval(values)
    return f"{mean:.3f}{_half(half)}"


def _half(half: float) -> str:
    return f" ± {half:.3f}" if np.isfinite(half) else ""


def write_page(work: Path) -> None:
    done = [name for name in SETS if (work / name / "simulation.json").exists()]
    lines = ["# The flywheel, measured", "", *HEAD.splitlines(), ""]
    for name in done:
        lines += describe(name, json.loads((work / name / "simulation.json").read_text(encoding="utf8")))
    varied = folder_of(work, VARIED, varied=True) / "simulation.json"
    if varied.exists():
        lines += describe_varied(json.loads(varied.read_text(encoding="utf8")))
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf8")
    print(PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "flywheel")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--first", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=SETS)
    parser.add_argument("--synthesis", action="store_true", help=f"{VARIED} with variants, beside a twin without")
    asked = parser.parse_args()
    asked.data, asked.work = asked.data.resolve(), asked.work.resolve()
    names = [VARIED] if asked.synthesis else list(SETS) if asked.only is None else [asked.only]
    for name in names:
        run_set(name, asked)
    write_page(asked.work)


if __name__ == "__main__":
    main()
