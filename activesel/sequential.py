"""Bounds on a mean that hold at every moment at once, so that one may look after each lot and stop when one likes.

Pure arrays. What a bound means for two models is decided elsewhere (activesel.abtest).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray

N_MEANS = 401  # candidates for the mean: bounds are as fine as 1/400 of the range
_TRUNCATION = 0.75  # of a bet, as a share of what may be lost at all
_FIRST_VARIANCE = 0.25  # of a variable in 0..1, before anything was seen


@dataclass(frozen=True)
class ConfidenceSequence:
    """low, high: (n,), after each observation; they only ever close in."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def bound_mean(values: FloatArray, *, error: float, low: float = 0.0, high: float = 1.0) -> ConfidenceSequence:
    """Return bounds on the mean of values (n,) that all lie in low..high, in their order.

    With probability 1 - error the mean is within the bounds after every observation, of any number of them, whatever
    the distribution, as long as each value has that mean given those before it. The hedged capital process of
    Waudby-Smith and Ramdas (2024, J. R. Stat. Soc. B 86(1), arXiv:2010.09686, section 4.3): against every candidate
    mean two players bet, on a larger and on a smaller one; by a fair game either becomes 2/error times as rich with
    probability error/2 at most (Ville's inequality). Time O(n N_MEANS).
    """
    x = (np.asarray(values, np.float64) - low) / (high - low)
    assert not len(x) or (x.min() >= 0 and x.max() <= 1), f"values beyond {low}..{high}"
    means = np.linspace(0, 1, N_MEANS)
    bets = _predictable_bets(x, error)
    lows, highs = np.empty(len(x)), np.empty(len(x))
    up, down = np.zeros(N_MEANS), np.zeros(N_MEANS)  # logarithms of the capital of who bets on a larger, smaller mean
    alive = np.ones(N_MEANS, bool)
    most = np.log(2 / error)
    with np.errstate(divide="ignore"):
        most_up, most_down = _TRUNCATION / means, _TRUNCATION / (1 - means)
    for i, (value, bet) in enumerate(zip(x, bets, strict=True)):
        up += np.log1p(np.minimum(bet, most_up) * (value - means))
        down += np.log1p(-np.minimum(bet, most_down) * (value - means))
        alive &= (up < most) & (down < most)
        lows[i], highs[i] = _ends(means, alive, lows[i - 1] if i else 0.0, highs[i - 1] if i else 1.0)
    return ConfidenceSequence(low + (high - low) * lows, low + (high - low) * highs)


def _ends(means: npt.NDArray[np.float64], alive: npt.NDArray[np.bool_], low: float, high: float) -> tuple[float, float]:
    """Return the ends of what is left, a step wider each way; the last ones where nothing is, which is unlucky."""
    left = np.flatnonzero(alive)
    if not len(left):
        return low, high
    step = means[1]
    return max(low, means[left[0]] - step, 0.0), min(high, means[left[-1]] + step, 1.0)


def _predictable_bets(x: npt.NDArray[np.float64], error: float) -> npt.NDArray[np.float64]:
    """Return (n,) bets, each from the values before it alone (eq. 26 of the paper): more where they varied less."""
    n = len(x)
    steps = np.arange(1, n + 1)
    centres = (0.5 + np.cumsum(x)) / (steps + 1)
    variances = (_FIRST_VARIANCE + np.cumsum((x - centres) ** 2)) / (steps + 1)
    before = np.concatenate([[_FIRST_VARIANCE], variances[:-1]])
    return np.asarray(np.sqrt(2 * np.log(2 / error) / (before * steps * np.log1p(steps))))
