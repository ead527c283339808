"""Whether a challenger does better than the champion on the lots that each of them judged: rates, bounds, when to stop.

Pure arrays. Lots, not images, are what was shared out and what is independent, so that lots are what is resampled and
what the sequential test counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray
from activesel.sequential import bound_mean

CONFIDENCE = 0.95
N_RESAMPLES = 2000
Metric = Literal["missed", "false rejects"]
METRICS: tuple[Metric, ...] = ("missed", "false rejects")


@dataclass(frozen=True)
class Outcomes:
    """Parts whose truth is known, in any order. lot: (n,) 0..l-1, in the order in which lots came. challenger: (l,)
    whether the challenger judged the lot. defective, rejected: (n,)."""

    lot: IntArray
    challenger: BoolArray
    defective: BoolArray
    rejected: BoolArray

    def counts(self, metric: Metric) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return, per lot (l,), how many parts were judged wrongly and how many might have been."""
        might = self.defective if metric == "missed" else ~self.defective
        wrong = might & (self.rejected != self.defective)
        n_lots = len(self.challenger)
        return (np.bincount(self.lot, wrong, minlength=n_lots).astype(np.float64),
                np.bincount(self.lot, might, minlength=n_lots).astype(np.float64))  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A share or a difference of shares, and its 95 % interval by lots; NaN where there is nothing to count."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """One metric. difference: challenger - champion, above 0 = the challenger is worse. now: its bounds at any look."""

    metric: Metric
    champion: Estimate
    challenger: Estimate
    difference: Estimate
    n_pairs: int
    now: tuple[float, float]


class Stop(StrEnum):
    """gain: promote. harm: take it back. limit: end without a winner. go_on: more lots."""

    gain = "gain"
    harm = "harm"
    limit = "limit"
    go_on = "go on"


@dataclass(frozen=True)
class Ruling:
    stop: Stop
    reason: str


@dataclass(frozen=True)
class Rules:
    """error: how often a difference is called where there is none, over all looks. margin: how much worse, at most, the
    other metric may be for a gain to count. most_lots: after which the comparison ends."""

    error: float
    margin: float
    most_lots: int


def compare(outcomes: Outcomes, metric: Metric, *, error: float, rng: np.random.Generator) -> Compared:
    """Return what is known of one metric. error: of its bounds, at all looks together."""
    wrong, might = outcomes.counts(metric)
    arms = [~outcomes.challenger, outcomes.challenger]
    values = [_share(wrong[arm].sum(), might[arm].sum()) for arm in arms]
    drawn = [_resample(wrong[arm], might[arm], rng) for arm in arms]
    champion, challenger = (_estimate(value, some) for value, some in zip(values, drawn, strict=True))
    gaps = pair_lots(np.divide(wrong, might, out=np.full(len(might), np.nan), where=might > 0), outcomes.challenger)
    bounds = bound_mean(gaps, error=error, low=-1, high=1)
    now = (float(bounds.low[-1]), float(bounds.high[-1])) if len(gaps) else (-1.0, 1.0)
    difference = _estimate(values[1] - values[0], drawn[1] - drawn[0])
    return Compared(metric, champion, challenger, difference, len(gaps), now)


def pair_lots(shares: FloatArray, challenger: BoolArray) -> npt.NDArray[np.float64]:
    """Return (p,) differences, challenger - champion, in -1..1, of the mean shares of lots that came near each other.

    shares: (l,) of each lot, NaN = nothing to count in it. A block ends as soon as both have a lot in it; who has which
    follows from a hash and from nothing that happened. So each difference has the mean that the arms differ by, on a
    line that drifts, too, whatever was seen before: what a bet on it asks for (Shekhar and Ramdas 2023,
    arXiv:2112.09162).
    """
    gaps: list[float] = []
    block: tuple[list[float], list[float]] = ([], [])
    for share, theirs in zip(shares, challenger, strict=True):
        if np.isnan(share):
            continue
        block[int(theirs)].append(float(share))
        if block[0] and block[1]:
            gaps.append(float(np.mean(block[1]) - np.mean(block[0])))
            block = ([], [])
    return np.array(gaps)


def rule(compared: Sequence[Compared], n_lots: int, rules: Rules) -> Ruling:
    """Say whether to stop: for harm if anything is surely worse; for gain if something is surely better and nothing
    may be worse by more than the margin; else when the lots are used up."""
    for one in compared:
        if one.now[0] > 0:
            return Ruling(Stop.harm, f"the challenger has surely more {_named(one)}: by {_span(one.now)}")
    for one in compared:
        others = [other for other in compared if other is not one]
        if one.now[1] < 0 and all(other.now[1] <= rules.margin for other in others):
            rest = " and ".join(f"at most {other.now[1]:+.3f} {_named(other)}" for other in others)
            return Ruling(Stop.gain, f"the challenger has surely fewer {_named(one)}, by {_span(one.now)}, and {rest}")
    if n_lots >= rules.most_lots:
        return Ruling(Stop.limit, f"{n_lots} lots have not shown a gain; {rules.most_lots} were to be looked at")
    open_ones = "; ".join(f"{_named(one)} {_span(one.now)} after {one.n_pairs} pairs" for one in compared)
    return Ruling(Stop.go_on, f"not known yet: {open_ones}; at most {rules.most_lots - n_lots} lots more")


def decide(outcomes: Outcomes, rules: Rules, rng: np.random.Generator) -> tuple[Ruling, tuple[Compared, ...]]:
    """Compare both metrics, each at half of the error, and rule."""
    compared = tuple(compare(outcomes, metric, error=rules.error / len(METRICS), rng=rng) for metric in METRICS)
    return rule(compared, len(np.unique(outcomes.lot)), rules), compared


def _resample(
    wrong: npt.NDArray[np.float64], might: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return shares (N_RESAMPLES,) of lots drawn with replacement."""
    if not len(wrong):
        return np.full(N_RESAMPLES, np.nan)
    times = rng.multinomial(len(wrong), np.full(len(wrong), 1 / len(wrong)), N_RESAMPLES).astype(np.float64)
    below = times @ might
    return np.asarray(np.divide(times @ wrong, below, out=np.full(N_RESAMPLES, np.nan), where=below > 0))


def _estimate(value: float, drawn: npt.NDArray[np.float64]) -> Estimate:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high))


def _share(wrong: float, might: float) -> float:
    return float(wrong / might) if might else float("nan")


def _named(one: Compared) -> str:
    return "missed defects" if one.metric == "missed" else "false rejects"


def _span(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"
