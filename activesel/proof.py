"""What so many tested images can show about a share: intervals, and how many images a proof takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray

MOST_NEEDED = 1_000_000  # images; a proof that takes more is none


@dataclass(frozen=True)
class Interval:
    """A share 0..1 and the ends of its two-sided interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Recall:
    """How many of a class were found. tested: groups (parts) that were, each counted once. missed: images."""

    share: Interval
    tested: int
    found: float
    missed: int


def wilson(found: float, tested: float, confidence: float) -> Interval:
    """Return the Wilson score interval (Wilson 1927) of found / tested; found may be a fraction of groups.

    >>> one = wilson(8, 10, 0.95)
    >>> round(one.low, 3), round(one.high, 3)
    (0.49, 0.943)
    """
    assert tested > 0
    assert 0 <= found <= tested
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    share = found / tested
    centre = share + z * z / (2 * tested)
    half = z * math.sqrt(share * (1 - share) / tested + z * z / (4 * tested * tested))
    scale = 1 + z * z / tested
    return Interval(share, max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def lower_bound(found: int, tested: int, confidence: float) -> float:
    """Return the share that ``found`` of ``tested`` shows: the exact one-sided bound (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv

    return float(betaincinv(found, tested - found + 1, 1 - confidence)) if found else 0.0


def images_needed(share: float, confidence: float, misses: int = 0) -> int | None:
    """Return the fewest tested images that can show ``share`` with so many misses among them; None beyond a million.

    By the exact one-sided bound; without a miss that is log(1 - confidence) / log(share).

    >>> images_needed(0.95, 0.95), images_needed(0.95, 0.95, misses=1), images_needed(0.99, 0.95)
    (59, 93, 299)
    """
    low, high = misses, MOST_NEEDED
    if lower_bound(high - misses, high, confidence) < share:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if lower_bound(middle - misses, middle, confidence) >= share:
            high = middle
        else:
            low = middle
    return high


def most_shown(tested: int, confidence: float) -> float:
    """Return the largest share that ``tested`` images can show, when all of them are found.

    >>> round(most_shown(20, 0.95), 3)
    0.861
    """
    return float((1 - confidence) ** (1 / tested)) if tested else 0.0


def reject_threshold(good_scores: FloatArray, false_rejects: float) -> float:
    """Return the defect score above which a part is rejected, so that at most this share of the good ones is.

    good_scores: (n,) of good images, higher = more of a defect. With fewer than 1 / false_rejects of them none may be
    rejected, and the threshold is their largest score. Without any it is -inf: everything is rejected.

    >>> reject_threshold(np.array([0.1, 0.2, 0.3, 0.9]), 0.25)
    0.3
    """
    if not len(good_scores):
        return -math.inf
    falling = np.sort(np.asarray(good_scores, np.float64))[::-1]
    return float(falling[min(math.floor(false_rejects * len(falling) + 1e-9), len(falling) - 1)])


def measure_recall(found: BoolArray, groups: IntArray, confidence: float) -> Recall | None:
    """Return how many groups were found, (m,) images of one class with their groups; None without any.

    Pictures of one part stand or fall together, so a group counts once, by the share of its images found.
    """
    if not len(found):
        return None
    _, of_row = np.unique(groups, return_inverse=True)
    per_group = np.bincount(of_row, weights=found) / np.bincount(of_row)
    total = float(per_group.sum())
    return Recall(wilson(min(total, len(per_group)), len(per_group), confidence), len(per_group), total,
                  int((~found).sum()))  # fmt: skip


def deal_group_folds(
    classes: IntArray, groups: IntArray, n_folds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return (m,) fold numbers 0..n_folds-1; a group is never in two folds, each class is spread over them evenly.

    A class in one group only cannot be held out: its rows are -1, always trained on.
    """
    names, of_row = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(classes.max(initial=-1)) + 1), np.int64)
    np.add.at(counts, (of_row, classes), 1)
    commonest = counts.argmax(axis=1) if counts.size else np.empty(0, np.int64)
    fold_of = np.full(len(names), -1, np.int64)
    start = 0
    for number in np.unique(commonest):
        members = rng.permutation(np.flatnonzero(commonest == number))
        fold_of[members] = (start + np.arange(len(members))) % n_folds
        start += len(members)
    alone = (counts > 0).sum(axis=0) == 1
    fold_of[(counts[:, alone] > 0).any(axis=1)] = -1
    return fold_of[of_row]
