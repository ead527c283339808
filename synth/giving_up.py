"""When more proposals are not worth making for a gap: those made bound how many of the rest can land in it.

A gap is given up once the highest landing rate that the proposals so far leave possible would not fill it with those
that may still come, in the mean. So a gap that the rest would fill is given up with a chance of ``error`` at most: the
bound is that of Clopper and Pearson (1934), one-sided. Shared by the points of a region and the looks of a run where
some landed; where none has, neither is needed: there is one event, and the look at which the bound suffices is fixed
by the counts of proposals alone. Donors take turns, which makes an unlucky streak less likely than independent draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GROWTH = 1.5  # from one look to the next, in blocks: each costs as much as the last choice


@dataclass(frozen=True)
class Effort:
    """tried, left: proposals made, and that may be made yet. looks: how often a run asks. error: 0 = never give up."""

    tried: int
    left: int
    error: float
    looks: int = 1

    def most_to_come(self, landed: int, share: float = 1.0) -> float:
        """Return how many of those left will land at most, in the mean, if ``landed`` did. share: of the error."""
        return highest_rate(landed, self.tried, self.error * share) * self.left

    def is_vain(self, landed: int, lacking: int, share: float = 1.0) -> bool:
        """Tell whether the rest would not bring what lacks."""
        return self.error > 0 and self.left > 0 and self.most_to_come(landed, share) < lacking

    def say(self, lacking: int) -> str:
        """Say why a gap in which none has landed is given up."""
        rate = highest_rate(0, self.tried, self.error)
        return (
            f"; given up after {self.tried} of {self.tried + self.left} proposals: at most {rate:.2%} land there "
            f"({1 - self.error:.0%} sure), {rate * self.left:.1f} of the rest, and {lacking} are needed"
        )


def highest_rate(landed: int, tried: int, error: float) -> float:
    """Return the rate from which so few landings, or fewer, have a chance of ``error``; 0..1.

    >>> round(highest_rate(0, 100, 0.05), 4)
    0.0295
    """
    from scipy.special import betaincinv

    if landed >= tried or error <= 0:
        return 1.0
    return float(betaincinv(landed + 1, tried - landed, 1 - error))


def fewest_needed(missing: npt.NDArray[np.int_], wanted: float) -> int:
    """Return how many variants it takes at least to cover a share of points (g,), one of them helping all at once.

    >>> fewest_needed(np.array([5, 5, 2, 0]), 0.75)
    5
    """
    n_points = math.ceil(wanted * len(missing) - 1e-9)
    return int(np.sort(np.maximum(missing, 0))[n_points - 1])


def is_region_vain(
    effort: Effort, near: npt.NDArray[np.bool_], have: npt.NDArray[np.int_], need: int, wanted: float
) -> bool:
    """Tell whether the rest would not cover a region.

    near: (g, m), which of the candidates lie within reach of which point. have: (g,), real labelled images there.
    """
    landed = near.sum(axis=1)
    missing = np.maximum(need - have - landed, 0)
    if not near.any():
        return effort.is_vain(0, fewest_needed(missing, wanted))
    n_open = int((missing > 0).sum())
    share = 1 / (effort.looks * max(1, n_open))
    n_vain = sum(effort.is_vain(int(n), int(lacks), share) for n, lacks in zip(landed, missing, strict=True) if lacks)
    return len(missing) - n_vain < math.ceil(wanted * len(missing) - 1e-9)


def looks_of(n_blocks: int) -> list[int]:
    """Return after which blocks a run looks.

    >>> looks_of(20)
    [1, 2, 3, 5, 8, 12, 18]
    """
    found, at = [], 1
    while at <= n_blocks:
        found.append(at)
        at = max(at + 1, math.ceil(at * GROWTH))
    return found
