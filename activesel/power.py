"""How many more labelled parts a decision takes that has not fallen yet, were the truth what was seen so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_LABELS = 1_000_000  # a decision that takes more is none
POWER = 0.8  # chance of a decision that the number of further labels is for


@dataclass(frozen=True)
class Spread:
    """A standard error, and of how many parts it is: it shrinks with the root of their number."""

    error: float
    n: int


def normal_quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def parts_for_share(share: float, limit: float, error: float) -> int | None:
    """Return of how many parts in all Wilson's one-sided bound of a share falls on its side of a limit.

    n = ((z_error sqrt(L (1 - L)) + z_power sqrt(p (1 - p))) / (L - p))^2, the number for a one-sample test of a
    proportion (Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, chapter 2): Wilson's bound
    passes L just where that score test rejects L. None beyond a million, as where the share is the limit.

    >>> parts_for_share(0.02, 0.04, 0.025), parts_for_share(0.04, 0.04, 0.025)
    (630, None)
    """
    if share == limit:
        return None
    spread = normal_quantile(1 - error) * math.sqrt(limit * (1 - limit))
    spread += normal_quantile(POWER) * math.sqrt(share * (1 - share))
    return _whole((spread / (limit - share)) ** 2)


def parts_for_gain(fixed: int, broken: int, n: int, error: float) -> int | None:
    """Return of how many pairs in all McNemar's test finds that more are fixed than broken.

    n = ((z_error sqrt(s) + z_power sqrt(s - d^2)) / d)^2 of s, the share of pairs that differ, and d, the net share of
    those fixed (Connor 1987, Biometrics 43). None beyond a million, as where no more are fixed than broken.

    >>> parts_for_gain(20, 8, 300, 0.025)
    456
    """
    if fixed <= broken:
        return None
    differ, net = (fixed + broken) / n, (fixed - broken) / n
    spread = normal_quantile(1 - error) * math.sqrt(differ)
    spread += normal_quantile(POWER) * math.sqrt(max(0.0, differ - net**2))
    return _whole((spread / net) ** 2)


def labels_for_change(apart: float, found: Spread, threshold: Spread, error: float) -> tuple[int, int] | None:
    """Return how many further parts, with a defect and without, bring the bound of a change past what it is apart from.

    The standard error must be apart / (z_error + z_power) (Chow, Shao and Wang 2008, Sample Size Calculations in
    Clinical Research, chapter 3, solved for the error). Its square is the sum of that of the defects found and that
    of where the threshold lies, which the good parts give. The larger one is asked for; both where one alone would not
    do. None beyond a million; (0, 0) where what is there is enough.

    >>> labels_for_change(0.03, Spread(0.02, 300), Spread(0.0, 6000), 0.025)
    (747, 0)
    """
    most = (max(0.0, apart) / (normal_quantile(1 - error) + normal_quantile(POWER))) ** 2
    of_defects, of_good = found.error**2, threshold.error**2
    if most <= 0:
        return None
    defects = good = 0.0
    if of_defects + of_good > most:
        if of_defects >= of_good and most > of_good:
            defects = found.n * (of_defects / (most - of_good) - 1)
        elif of_good > of_defects and most > of_defects:
            good = threshold.n * (of_good / (most - of_defects) - 1)
        else:
            factor = (of_defects + of_good) / most - 1
            defects, good = found.n * factor, threshold.n * factor
    return None if defects + good >= MOST_LABELS else (math.ceil(defects), math.ceil(good))


def _whole(n: float) -> int | None:
    return None if n >= MOST_LABELS else math.ceil(n)
