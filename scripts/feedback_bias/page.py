"""What scripts/run_feedback_bias.py writes: tables with intervals over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

Results = Sequence[dict[str, Any]]
RECOVERED = 0.7  # of what a head on every label of the stream reaches
SOON = 2  # rounds
COLUMNS = ("who picks", "recall at the start", "after 2 rounds", "after 6 rounds", "recovered", "labels of the class",
           "noticed within 2 rounds", "in round", "good rejected")  # fmt: skip
OTHERS = ("class", "history", "who picks", "recall at the start", "after 2 rounds", "after 6 rounds", "recovered",
          "noticed within 2 rounds")  # fmt: skip
HEAD = """# A blind spot, and what the monitors make of it

A champion that people only contradict where it rejects a part learns nothing about what it passes. Here it is blind
to one kind of defect and sure of it: its first labels are from an old guideline that passed that kind as good. Every
round the line brings new parts, and {budget} labels are spent. *rejects*: people look at what the champion rejects,
the surest first. *doubts*: the least margin. *default strategy*: what `activesel select` does. *random*: so many of
the {budget} are drawn at random from what has just arrived, before anything looks. *alarms followed*: after each
round the monitors of `activesel monitor` read the labels so far, and the next round does what their command says:
{rechecks} old labels that look like the class are looked at again (`label-errors --like`), half of the rest goes to
images like it (`select --focus`), all within the {budget}.

magnetic_tile: {n} images of {n_parts} parts, defect-aware vectors, linear head; 70 % of the parts make the stream,
one picture of each, the others test. {seeds} paired seeds; intervals are 95 % t-intervals over seeds. Recall: test
images of the class that are rejected. Recovered: recall of at least {recovered:.0%} of what a head on every part of
the stream, labelled rightly, reaches ({best:.2f} here). Noticed: the first round whose alarms name the class, whether
or not anybody follows them. Written by

    {command}

![recall of the blind class over rounds]({plot})

## Blind to {kind}
{columns}"""


def write_page(results: Results, arms: list[str], kind: str, plot: str, facts: dict[str, Any]) -> str:
    """facts: command, n, n_parts, budget, rechecks, seeds."""
    headline = [one for one in results if one["kind"] == kind and one["history"] == "passed"]
    best = float(np.mean([one["best"] for one in headline]))
    head = HEAD.format(columns=heading(COLUMNS, 1), kind=kind, plot=plot, recovered=RECOVERED, best=best, **facts)
    rows = [row_of(arm, [one for one in headline if one["arm"] == arm]) for arm in arms]
    return "".join([head, *rows, *read_off(headline), *others(results, kind), *clean_line(results), *how_many()])


def heading(columns: Sequence[str], n_texts: int) -> str:
    return f"| {' | '.join(columns)} |\n|{'---|' * n_texts}{'--:|' * (len(columns) - n_texts)}\n"


def row_of(arm: str, runs: Results) -> str:
    recall = np.array([one["recall"] for one in runs])
    seen = [one["detected"] for one in runs if one["detected"] is not None]
    soon = sum(one <= SOON for one in seen)
    when = f"{np.median(seen):.0f} ({min(seen)} to {max(seen)})" if seen else "never"
    labels, rejects = (np.mean([sum(one["labels"]) for one in runs]), np.mean([one["rejects"][-1] for one in runs]))
    ends = f"{recall[:, 0].mean():.2f} | {interval(recall[:, 2])} | {interval(recall[:, -1])}"
    return (f"| {arm} | {ends} | {count(recovered(runs), runs)} | {labels:.1f} | {count(soon, runs)} | {when} | "
            f"{rejects:.3f} |\n")  # fmt: skip


def recovered(runs: Results) -> int:
    return sum(one["recall"][-1] >= RECOVERED * one["best"] for one in runs)


def count(n: int, runs: Results) -> str:
    return f"{n} of {len(runs)}"


def interval(values: np.ndarray) -> str:
    """Mean and 95 % t-interval, within 0..1."""
    mean = float(values.mean())
    if len(values) < 2 or values.std() == 0:
        return f"{mean:.2f}"
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return f"{mean:.2f} ({max(0.0, mean - half):.2f} to {min(1.0, mean + half):.2f})"


def read_off(headline: Results) -> list[str]:
    """The paired differences that the tables rest on."""
    by_arm: dict[str, dict[int, float]] = {}
    for one in headline:
        by_arm.setdefault(one["arm"], {})[one["seed"]] = one["recall"][-1]
    lines = ["\nPaired differences of recall after 6 rounds:\n\n| | against | difference |\n|---|---|--:|\n"]
    for arm, other in (
        ("rejects + 20 random, alarms followed", "rejects"),
        ("rejects + 20 random, alarms followed", "rejects + 20 random"),
        ("rejects + 20 random, alarms followed", "default strategy"),
        ("default strategy + 10 random, alarms followed", "default strategy"),
    ):
        seeds = sorted(set(by_arm.get(arm, {})) & set(by_arm.get(other, {})))
        if len(seeds) > 1:
            gaps = np.array([by_arm[arm][seed] - by_arm[other][seed] for seed in seeds])
            half = float(stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
            mean = float(gaps.mean())
            lines.append(f"| {arm} | {other} | {mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f}) |\n")
    return lines


def others(results: Results, kind: str) -> list[str]:
    lines = ["""
## Other classes, and a class that is merely absent
*passed*: the first labels call the class good. *absent*: the first labels hold none of it. Fewer seeds.

""", heading(OTHERS, 3)]  # fmt: skip
    told = [
        one for one in results if one["history"] == "absent" or (one["history"] == "passed" and one["kind"] != kind)
    ]
    keys = dict.fromkeys((one["kind"], one["history"], one["arm"]) for one in told)
    for name, history, arm in sorted(keys, key=lambda key: (key[1], key[0])):
        runs = [one for one in results if (one["kind"], one["history"], one["arm"]) == (name, history, arm)]
        recall = np.array([one["recall"] for one in runs])
        soon = sum(one["detected"] is not None and one["detected"] <= SOON for one in runs)
        ends = f"{recall[:, 0].mean():.2f} | {recall[:, 2].mean():.2f} | {interval(recall[:, -1])}"
        lines.append(
            f"| {name} | {history} | {arm} | {ends} | {count(recovered(runs), runs)} | {count(soon, runs)} |\n"
        )
    return lines


def clean_line(results: Results) -> list[str]:
    """What the monitors say of the same flywheel where no label was wrong."""
    runs = [one for one in results if one["history"] == "known"]
    if not runs:
        return []
    rounds = sum(len(one["labels"]) for one in runs)
    alarms = Counter(monitor for one in runs for _, monitor, _ in one["alarms"])
    told = ", ".join(f"{name} {n}" for name, n in alarms.most_common()) or "none"
    distinct = len({(one["seed"], number) for one in runs for number, *_ in one["alarms"]})
    return [
        f"""
## Where nothing is wrong
The same flywheel with right labels from the start, 20 of 40 random, alarms followed.
{distinct} of {rounds} rounds ask for action ({told}).
Only what the monitors of labels say is read here; drift, operators and regions are measured in
[monitoring_measured.md](monitoring_measured.md).
"""
    ]


def how_many() -> list[str]:
    lines = [
        """
## How many random images it takes
What is seen within two rounds depends on the number of random images, not on their share. So many a round show a kind
of defect at least once in two rounds, with a chance of 95 %:

| prevalence of the kind | random images a round |
|--:|--:|
"""
    ]
    for share in (0.1, 0.05, 0.02, 0.01, 0.005, 0.001):
        lines.append(f"| {share:.1%} | {math.ceil(math.log(0.05) / math.log(1 - share) / 2):,} |\n")
    return lines
