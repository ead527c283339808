"""What the monitors are worth, on lines made in code: intervals that hold, false alarms, and what is noticed.

python scripts/run_monitoring.py --runs 400 --out docs/monitoring_measured.md
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from monitored.coverage import Held, play_line, play_lure
from monitored.lines import clean, shipped_limits

from activesel.drift import compare_classes, compare_numbers, compare_vectors
from activesel.monitoring import Overrides, State, judge, watch
from activesel.monitoring.verdict import MONITORS
from activesel.proof import wilson

LINES = ((0.02, 5), (0.02, 25), (0.1, 5), (0.1, 25))  # prevalence, random images a round
HEAD = """# The monitors, measured

Written by `python scripts/run_monitoring.py --runs {runs}`; lines made in code, so that the truth is known.

## Intervals
Nominal 95 %. Eight rounds over 4,000 images: each takes the 60 surest defects and so many random images beside them;
*plain share* is that of all labels, which a selection bends. Horvitz-Thompson: prevalence by the first round alone.
LURE: one image after the other, at random with a chance of epsilon, else by a softmax that leans to the loss; 150 of
1,000, a loss of 1 in 15 %.

| line | estimate | interval holds | mean error | mean width |
|---|---|--:|--:|--:|
"""
ALARMS = """
## False alarms
{runs} runs over a line on which nothing has changed: 100 random and 300 chosen labels, eight stations, three shifts,
seven comparisons of drift, 26 tests in each. `monitoring.false_alarms` is {rate:g}: so many of the runs may say act.

| | runs that say act | 95 % interval |
|---|--:|--:|
"""
POWER = """
## What is noticed
Share of runs, of {runs} each, in which the alarm is raised beside all the tests of a clean line.

| what is wrong | noticed |
|---|--:|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--out", type=Path, help="Markdown file to write; it is printed anyway")
    args = parser.parse_args()
    page = "".join([HEAD.format(runs=args.runs), *measure_intervals(args.runs),
                    ALARMS.format(runs=args.runs, rate=shipped_limits().false_alarms), *count_alarms(args.runs),
                    POWER.format(runs=args.runs // 4), *measure_power(args.runs // 4)])  # fmt: skip
    print(page)
    if args.out:
        args.out.write_text(page, encoding="utf8")


def measure_intervals(runs: int) -> Iterable[str]:
    for prevalence, explore in LINES:
        rng = np.random.default_rng([round(prevalence * 1000), explore])
        held = [one for _ in range(runs) for one in play_line(rng, prevalence=prevalence, explore=explore)]
        yield from summarise(f"{prevalence:.0%} defects, {explore} random a round", held)
    for epsilon in (0.1, 0.5):
        rng = np.random.default_rng(round(epsilon * 1000))
        yield from summarise("picked one by one", [one for _ in range(runs) for one in play_lure(rng, epsilon=epsilon)])


def summarise(line: str, held: list[Held]) -> Iterable[str]:
    by_name: dict[str, list[Held]] = defaultdict(list)
    for one in held:
        by_name[one.name].append(one)
    for name, found in by_name.items():
        error, width = np.mean([one.error for one in found]), np.mean([one.width for one in found])
        if name.endswith("effective size"):
            yield f"| {line} | {name} {error:.0f} of 150 | | | |\n"
        else:
            holds = f"{np.mean([one.held for one in found]):.3f}" if width else ""
            yield f"| {line} | {name} | {holds} | {error:+.3f} | {f'{width:.3f}' if width else ''} |\n"


def count_alarms(runs: int) -> Iterable[str]:
    limits, alarms, by_monitor = shipped_limits(), 0, Counter[str]()
    loose = replace(limits, false_alarms=0.049999 * 40)  # what each test alone at 0.05 would say
    alone = 0
    for seed in range(runs):
        signals = clean(seed)
        readings = watch(signals, limits)
        alarms += judge(readings) is State.act
        by_monitor.update({one.monitor for one in readings if one.state is State.act})
        raw = [one for monitor in MONITORS for one in monitor(signals, loose)]
        alone += any(one.state is State.act and (one.p is None or one.p < 0.05) for one in raw)
    for name, n in (("all together", alarms), *sorted(by_monitor.items()),
                    ("were each test held against 0.05 alone", alone)):  # fmt: skip
        span = wilson(n, runs, 0.95)
        yield f"| {name} | {n} ({span.value:.1%}) | {span.low:.1%} to {span.high:.1%} |\n"


def measure_power(runs: int) -> Iterable[str]:
    limits = shipped_limits()
    for rate in (0.08, 0.12, 0.2):
        found = 0
        for seed in range(runs):
            rng = np.random.default_rng([seed, 1])
            counts = {f"S{number}": (int(rng.binomial(150, rate if number == 3 else 0.04)), 150) for number in range(8)}
            readings = watch(replace(clean(seed), overrides=(Overrides("station", counts),)), limits)
            found += any(one.subject == "station S3" and one.state is State.act for one in readings)
        yield f"| a station overruled in {rate:.0%} of 150 predictions, the others in 4 % | {found / runs:.0%} |\n"
    for moved in (0.2, 0.4, 0.8):
        noticed = _drift(runs, moved, "score")
        yield f"| scores moved by {moved:g} standard deviations, 200 against 300 | {noticed:.0%} |\n"
    for moved in (0.5, 1.0, 1.5):
        yield (f"| one of 8 dimensions of vectors moved by {moved:g} sd, 100 against 150 | "
               f"{_drift(runs, moved, 'vectors'):.0%} |\n")  # fmt: skip
    for share in (0.05, 0.1, 0.2):
        noticed = _drift(runs, share, "class")
        yield f"| a class's share risen from 2 % to {share:.0%}, 200 against 300 | {noticed:.0%} |\n"
    for n in (4, 8, 16):
        yield f"| {n} of 100 random images are defects that the model is 97 % sure are good | {_blind(runs, n):.0%} |\n"


def _drift(runs: int, moved: float, kind: str) -> float:
    found = 0
    for seed in range(runs):
        rng, signals = np.random.default_rng([seed, 2]), clean(seed)
        if kind == "score":
            made = compare_numbers("x", kind, rng.normal(size=300), rng.normal(moved, 1, size=200))
        elif kind == "vectors":
            recent = rng.normal(size=(100, 8))
            recent[:, 0] += moved
            made = compare_vectors("x", rng.normal(size=(150, 8)), recent, rng)
        else:
            made = compare_classes(
                "x", rng.choice(2, 300, p=[0.98, 0.02]), rng.choice(2, 200, p=[1 - moved, moved]), rng
            )
        assert made is not None
        kept = [one for one in signals.drifts if one.kind != kind]
        readings = watch(replace(signals, drifts=(*kept, made)), shipped_limits())
        found += any(one.subject == f"{kind}: x" and one.state is State.act for one in readings)
    return found / runs


def _blind(runs: int, n: int) -> float:
    found = 0
    for seed in range(runs):
        signals = clean(seed)
        assert signals.labelled is not None
        seen = signals.labelled
        at = np.flatnonzero(seen.explored)[:n]
        classes, predicted, sure = seen.classes.copy(), seen.predicted.copy(), seen.sure.copy()
        classes[at], predicted[at], sure[at] = 3, 0, 0.97
        changed = replace(seen, classes=classes, predicted=predicted, sure=sure)
        readings = watch(replace(signals, labelled=changed), shipped_limits())
        found += any(one.monitor in ("escapes", "recall per arm", "explored against selected") and
                     one.state is State.act for one in readings)  # fmt: skip
    return found / runs


if __name__ == "__main__":
    main()
