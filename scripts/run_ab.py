"""How often `activesel ab` stops where it should not, and how many lots it takes where it should.

    python scripts/run_ab.py             100 comparisons of each kind, some minutes

Lots of 100 parts, 5 % defective; lots differ in how hard they are. Whoever looks does so after every tenth lot and acts
on what he sees first; beside it the usual test on the means of lots at 95 %, made for one look, looked at as often.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np

from activesel.abtest import METRICS, Compared, Estimate, Outcomes, Rules, Stop, pair_lots, rule
from activesel.lots import Arm, Split
from activesel.sequential import bound_mean

PARTS, DEFECTIVE, EVERY = 100, 0.05, 10
RULES = Rules(error=0.05, margin=0.05, most_lots=1000)
_NOTHING = Estimate(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class World:
    """recall and false rejects of champion and challenger, and the challenger's share of the lots."""

    name: str
    recalls: tuple[float, float]
    rejects: tuple[float, float]
    share: float


WORLDS = (
    World("equal", (0.85, 0.85), (0.02, 0.02), 0.2),
    World("equal, half of the lots", (0.85, 0.85), (0.02, 0.02), 0.5),
    World("recall 25 points worse", (0.85, 0.60), (0.02, 0.02), 0.2),
    World("false rejects 2 % -> 12 %", (0.85, 0.85), (0.02, 0.12), 0.2),
    World("recall 15 points better, half of the lots", (0.75, 0.90), (0.02, 0.02), 0.5),
    World("recall 25 points better, half of the lots", (0.65, 0.90), (0.02, 0.02), 0.5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--lots", type=int, default=1000)
    options = parser.parse_args()
    print(f"{options.runs} comparisons of {options.lots} lots each, {PARTS} parts a lot, {DEFECTIVE:.0%} defective")
    print("| challenger | share | gain | harm | limit | lots until it stops (median, 90 %) | usual test stops |")
    print("|---|---|---|---|---|---|---|")
    for world in WORLDS:
        print(run(world, options.runs, options.lots))


def run(world: World, runs: int, n_lots: int) -> str:
    stops: Counter[Stop] = Counter()
    when, usual = [], 0
    for seed in range(runs):
        rng = np.random.default_rng([seed, n_lots])
        outcomes = draw(world, n_lots, rng, seed)
        stop, at = first_stop(outcomes, n_lots)
        stops[stop] += 1
        when += [at] if stop in (Stop.gain, Stop.harm) else []
        usual += usual_test_stops(outcomes, n_lots) if seed < runs // 5 else 0
    told = "-" if not when else f"{np.median(when):.0f}, {np.quantile(when, 0.9):.0f}"
    shares = " | ".join(f"{stops[stop] / runs:.1%}" for stop in (Stop.gain, Stop.harm, Stop.limit))
    return f"| {world.name} | {world.share:.0%} | {shares} | {told} | {usual / max(1, runs // 5):.0%} |"


def draw(world: World, n_lots: int, rng: np.random.Generator, seed: int) -> Outcomes:
    split = Split(world.share, str(seed))
    theirs = np.array([split.arm_of(f"lot {i}") is Arm.challenger for i in range(n_lots)])
    lot = np.repeat(np.arange(n_lots), PARTS)
    defective = rng.random(len(lot)) < DEFECTIVE
    hard = rng.normal(0, 0.05, n_lots)[lot]
    recall, false = np.take(world.recalls, theirs[lot].astype(int)), np.take(world.rejects, theirs[lot].astype(int))
    chance = np.where(defective, recall - hard, false + hard.clip(0, None) / 10)
    return Outcomes(lot, theirs, defective, rng.random(len(lot)) < chance)


def first_stop(outcomes: Outcomes, n_lots: int) -> tuple[Stop, int]:
    """Return how and after how many lots whoever looks after every tenth lot stops.

    Bounds after k lots are those of the pairs that are whole by then, so all looks follow from one pass.
    """
    ends, bounds = {}, {}
    for metric in METRICS:
        shares = shares_of(outcomes, metric)
        ends[metric] = np.array(
            [len(pair_lots(shares[:k], outcomes.challenger[:k])) for k in range(0, n_lots + 1, EVERY)]
        )
        bounds[metric] = bound_mean(pair_lots(shares, outcomes.challenger), error=RULES.error / 2, low=-1, high=1)
    for look in range(1, n_lots // EVERY + 1):
        compared = []
        for metric in METRICS:
            n = int(ends[metric][look])
            now = (float(bounds[metric].low[n - 1]), float(bounds[metric].high[n - 1])) if n else (-1.0, 1.0)
            compared.append(Compared(metric, _NOTHING, _NOTHING, _NOTHING, n, now))
        ruling = rule(compared, look * EVERY, RULES)
        if ruling.stop is not Stop.go_on:
            return ruling.stop, look * EVERY
    return Stop.go_on, n_lots


def shares_of(outcomes: Outcomes, metric):  # type: ignore[no-untyped-def]
    wrong, might = outcomes.counts(metric)
    return np.divide(wrong, might, out=np.full(len(might), np.nan), where=might > 0)


def usual_test_stops(outcomes: Outcomes, n_lots: int) -> bool:
    """Tell whether an interval made for one look ever leaves 0 out, on either metric, each at half of the error."""
    for metric in METRICS:
        shares = shares_of(outcomes, metric)
        for k in range(50, n_lots + 1, EVERY):
            some, theirs = shares[:k], outcomes.challenger[:k]
            ours, others = (some[mask & ~np.isnan(some)] for mask in (theirs, ~theirs))
            if min(len(ours), len(others)) < 5:
                continue
            error = np.sqrt(ours.var(ddof=1) / len(ours) + others.var(ddof=1) / len(others))
            if error > 0 and abs(ours.mean() - others.mean()) > 2.24 * error:  # two-sided 2.5 %
                return True
    return False


if __name__ == "__main__":
    main()
