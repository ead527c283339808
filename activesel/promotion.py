"""Whether made images are worth training on: paired bounds on average precision, and a verdict that can go each way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray

LEAST_GROUPS = 5  # of the class: fewer, and a bootstrap over them knows nothing of the next one
LEAST_SIBLINGS = 3  # other classes that may speak for one that is too rare to be judged itself
MOST_FALL = 0.01  # of another class's average precision, at the lower end of its interval
CONFIDENCE = 0.95
N_RESAMPLES = 1000
_BLOCK = 100  # resamples at a time

Outcome = Literal["promoted", "promoted by siblings", "no gain", "another class falls", "too few", "set refused"]


@dataclass(frozen=True)
class Bound:
    """A difference of average precisions, ours - theirs, and its 95 % interval; above 0 = ours is better."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Worth:
    """A verdict. reason: in a sentence. needed: groups of real images that would settle it, None = not known."""

    outcome: Outcome
    reason: str
    needed: int | None = None

    @property
    def is_promoted(self) -> bool:
        return self.outcome in ("promoted", "promoted by siblings")


def judge_worth(
    gains: Mapping[str, Bound], others: Mapping[str, Bound], n_groups: int, *, most_fall: float = MOST_FALL
) -> Worth:
    """Promote where the class gains over every rival with confidence and no other class falls.

    gains: rival -> bound on the class. others: other class -> bound against training without the made images.
    n_groups: groups of real images of the class. Anything that is not shown is refused.
    """
    if n_groups < LEAST_GROUPS:
        return Worth("too few", f"{n_groups} groups of real images of the class are too few to say; "
                     f"{LEAST_GROUPS} at least", LEAST_GROUPS)  # fmt: skip
    unsure = {name: bound for name, bound in gains.items() if not bound.low > 0}
    if unsure:
        name, bound = min(unsure.items(), key=lambda pair: pair[1].mean)
        needed = count_needed(bound, n_groups)
        advice = f"; about {needed} groups of real images would settle it" if needed else ""
        return Worth("no gain", f"no sure gain over {name}: {_say(bound)}{advice}", needed)
    falling = {name: bound for name, bound in others.items() if not bound.low >= -most_fall}
    if falling:
        name, bound = min(falling.items(), key=lambda pair: pair[1].low)
        above = Bound(bound.mean + most_fall, bound.low + most_fall, bound.high + most_fall)
        reason = f"{name} may fall by more than {most_fall:g}: {_say(bound)}"
        return Worth("another class falls", reason, count_needed(above, n_groups))
    least = min(gains.items(), key=lambda pair: pair[1].low)
    return Worth("promoted", f"gains over {' and '.join(gains)}, the least over {least[0]}: {_say(least[1])}")


def judge_by_siblings(
    gains: Mapping[str, Mapping[str, Sequence[float]]],
    n_groups: int,
    rng: np.random.Generator,
    *,
    most_fall: float = MOST_FALL,
) -> Worth:
    """Judge a class of fewer than LEAST_GROUPS groups by what the same did for other classes, cut to as many.

    gains: rival -> sibling class -> differences of average precision on real images held out, one a draw, as many for
    each. Promoted where the mean over siblings gains over every rival with confidence (bootstrap over siblings and
    draws) and no sibling falls in its mean by more than ``most_fall``. That the class behaves as its siblings do is
    assumed, not shown.
    """
    few = f"{n_groups} groups of real images of the class are too few to judge it"
    n_siblings = min((len(found) for found in gains.values()), default=0)
    if n_siblings < LEAST_SIBLINGS:
        reason = f"{few}; {LEAST_GROUPS} at least, or {LEAST_SIBLINGS} other classes with masks and twice as many"
        return Worth("too few", reason, LEAST_GROUPS)
    for rival, found in gains.items():
        bound = _bound_siblings(found, rng)
        worst = min(found, key=lambda name: float(np.mean(found[name])))
        fall = float(np.mean(found[worst]))
        if not bound.low > 0 or fall < -most_fall:
            why = f"{worst} falls by {-fall:.3f}" if fall < -most_fall else "that is not sure"
            reason = f"{few}, and cut to as many {n_siblings} other classes gain over {rival} {_say(bound)}: {why}"
            return Worth("too few", reason, LEAST_GROUPS)
    rival, found = min(gains.items(), key=lambda pair: float(np.mean(list(pair[1].values()))))
    reason = (
        f"{few}, but cut to as many {n_siblings} other classes gain over {rival} {_say(_bound_siblings(found, rng))}"
    )
    return Worth("promoted by siblings", f"{reason}, and none falls", LEAST_GROUPS)


def _bound_siblings(found: Mapping[str, Sequence[float]], rng: np.random.Generator) -> Bound:
    table = np.array([found[name] for name in sorted(found)], np.float64)  # (s, draws)
    n_siblings, n_draws = table.shape
    siblings = rng.integers(0, n_siblings, (N_RESAMPLES, n_siblings, 1))
    draws = rng.integers(0, n_draws, (N_RESAMPLES, n_siblings, n_draws))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(table[siblings, draws].mean(axis=(1, 2)), [tail, 100 - tail])
    return Bound(float(table.mean()), float(low), float(high))


def count_needed(bound: Bound, n_groups: int) -> int | None:
    """Return how many groups would lift the lower end to 0 if the mean stayed; intervals shrink with the root.

    None where the mean itself is not above 0: more images would not help then.
    """
    half = bound.mean - bound.low
    if not bound.mean > 0 or not math.isfinite(half):
        return None
    return max(n_groups + 1, math.ceil(n_groups * (half / bound.mean) ** 2))


def average_precision(scores: FloatArray, is_positive: BoolArray, weights: FloatArray | None = None) -> FloatArray:
    """Return (b,) average precisions of scores (n,) under the row weights (b, n), which default to one row of ones.

    Sum over thresholds of precision times the step of recall, ties taken at once, as scikit-learn defines it. NaN
    where no positive has a weight.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ordered = np.asarray(scores)[order]
    ends = np.searchsorted(-ordered, -ordered, side="right") - 1  # the last row of each tie
    rows = np.ones((1, len(order))) if weights is None else np.asarray(weights, np.float64)[:, order]
    hits = rows * is_positive[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = (hits.cumsum(axis=1) / rows.cumsum(axis=1))[:, ends]
        return np.asarray(np.nansum(precision * hits, axis=1) / hits.sum(axis=1))


def bound_difference(
    ours: Sequence[FloatArray],
    theirs: Sequence[FloatArray],
    is_positive: BoolArray,
    groups: IntArray,
    rng: np.random.Generator,
) -> Bound:
    """Bound the difference of average precisions by a paired bootstrap over groups.

    ours, theirs: held-out scores (n,), one array for each repetition of the folds; their mean difference is resampled.
    Groups with and without a positive are drawn apart, so that no resample lacks the class.
    """
    whole = np.ones((1, len(groups)))
    mean = float(_mean_difference(ours, theirs, is_positive, whole)[0])
    found = [
        _mean_difference(ours, theirs, is_positive, _resample(groups, is_positive, rng, _BLOCK))
        for _ in range(N_RESAMPLES // _BLOCK)
    ]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.concatenate(found), [tail, 100 - tail])
    return Bound(mean, float(low), float(high))


def _mean_difference(
    ours: Sequence[FloatArray], theirs: Sequence[FloatArray], is_positive: BoolArray, weights: FloatArray
) -> FloatArray:
    pairs = zip(ours, theirs, strict=True)
    differences = [
        average_precision(a, is_positive, weights) - average_precision(b, is_positive, weights) for a, b in pairs
    ]
    return np.asarray(np.mean(differences, axis=0))


def _resample(
    groups: IntArray, is_positive: BoolArray, rng: np.random.Generator, n_resamples: int
) -> npt.NDArray[np.float64]:
    """Return (b, n): how often each row's group was drawn."""
    _, of_row = np.unique(groups, return_inverse=True)
    n_groups = int(of_row.max()) + 1
    holds_one = np.zeros(n_groups, bool)
    holds_one[of_row[is_positive]] = True
    times = np.zeros((n_resamples, n_groups))
    for members in (np.flatnonzero(holds_one), np.flatnonzero(~holds_one)):
        if len(members):
            times[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), n_resamples)
    return times[:, of_row]


def _say(bound: Bound) -> str:
    return f"{bound.mean:+.3f} ({bound.low:+.3f} to {bound.high:+.3f})"
