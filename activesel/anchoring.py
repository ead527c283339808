"""Whether people follow a pre-label because they see it: those who saw it against those from whom it was hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from activesel.proof import Interval, wilson
from activesel.records import BoolArray, FloatArray


@dataclass(frozen=True)
class Arm:
    """One arm: opinions, how many agree with the pre-label, their median seconds (None where nobody measured them)."""

    n: int
    n_same: int
    median_s: float | None

    @property
    def acceptance(self) -> float:
        return self.n_same / self.n if self.n else math.nan


@dataclass(frozen=True)
class Anchoring:
    """difference: acceptance shown minus hidden, -1..1, with its interval; above 0 = people follow what they see.
    p: chance of a difference as large were there none, two-sided. time_ratio: median seconds shown / hidden, None
    where unknown. None for difference and p where an arm is empty."""

    shown: Arm
    hidden: Arm
    difference: Interval | None
    p: float | None
    time_ratio: float | None


def measure_anchoring(
    same: BoolArray, was_shown: BoolArray, seconds: FloatArray, confidence: float = 0.95
) -> Anchoring:
    """Compare the arms. same: (n,) the opinion is the pre-label's. was_shown: (n,). seconds: (n,), NaN = unknown.

    Interval by Newcombe's method 10 (1998, Statistics in Medicine 17:873), from two Wilson intervals; p by the
    two-proportion z-test with a pooled share. Opinions count as independent, which several of one image are not quite.
    """
    shown, hidden = _arm(same, seconds, was_shown), _arm(same, seconds, ~was_shown)
    ratio = shown.median_s / hidden.median_s if shown.median_s is not None and hidden.median_s else None
    if not shown.n or not hidden.n:
        return Anchoring(shown, hidden, None, None, ratio)
    one, other = wilson(shown.n_same, shown.n, confidence), wilson(hidden.n_same, hidden.n, confidence)
    delta = one.value - other.value
    low = delta - math.hypot(one.value - one.low, other.high - other.value)
    high = delta + math.hypot(one.high - one.value, other.value - other.low)
    return Anchoring(shown, hidden, Interval(delta, low, high), _test(shown, hidden), ratio)


def _arm(same: BoolArray, seconds: FloatArray, rows: BoolArray) -> Arm:
    known = seconds[rows & np.isfinite(seconds)]
    return Arm(int(rows.sum()), int(same[rows].sum()), float(np.median(known)) if len(known) else None)


def _test(shown: Arm, hidden: Arm) -> float:
    share = (shown.n_same + hidden.n_same) / (shown.n + hidden.n)
    spread = math.sqrt(share * (1 - share) * (1 / shown.n + 1 / hidden.n))
    if spread == 0:
        return 1.0
    return math.erfc(abs(shown.acceptance - hidden.acceptance) / spread / math.sqrt(2))
