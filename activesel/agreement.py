"""How far raters agree beyond chance: kappa with an interval that holds for rare classes, and what to read beside it.

Tables are (c, c) counts, first rater's class by second rater's. Decides nothing: activesel.qualitygate does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.records import IntArray

N_DRAWS = 4000
TAIL_DRAWS, MOST_DRAWS = 50, 200_000  # beyond the rarest bound that is read off; in all
_BLOCK = 4_000_000  # cells drawn at a time, 32 MB
PRIOR_MASS = 2.0  # pseudo-counts of the whole table: 0.5 a cell of a 2 x 2 one (Jeffreys)
MOST_PAIRS = 1_000_000  # more are no answer


@dataclass(frozen=True)
class Agreement:
    """Agreement of two raters, or of pairs of several, on n images.

    kappa: Cohen's (1960), -1..1, None where it is undefined: both said the same one class throughout. low, high: ends
    of its two-sided posterior interval. at_least, at_most: one-sided bounds, each wrong as rarely, or more rarely where
    looks are repeated. observed: share of images they agree on. positive, negative: share of agreement on a defect, and
    on none (Cicchetti & Feinstein 1990), None without any. n_positive: images that either called a defect. prevalence:
    difference of the two kinds of agreement, bias: of the raters' shares of defects; both -1..1 (Byrt 1993).
    pabak, ac1: to be shown, never gated: they are high exactly where agreement on rare defects is poor.
    """

    n: int
    kappa: float | None
    low: float
    high: float
    at_least: float
    at_most: float
    observed: float
    positive: float | None
    negative: float | None
    n_positive: int
    prevalence: float
    bias: float
    pabak: float
    ac1: float | None


def count_table(first: IntArray, second: IntArray, n_classes: int) -> npt.NDArray[np.int64]:
    """Return (c, c) counts of the pairs of codes 0..c-1; pairs with a negative code are left out."""
    kept = (first >= 0) & (second >= 0)
    pairs = np.asarray(first, np.int64)[kept] * n_classes + np.asarray(second, np.int64)[kept]
    return np.bincount(pairs, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def one_vs_rest(table: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
    """Return the 2 x 2 table of class k, first row and column, against all others.

    >>> one_vs_rest(np.array([[5, 1, 0], [0, 7, 2], [1, 0, 9]]), 1).tolist()
    [[7, 2], [1, 15]]
    """
    both, first, second = table[k, k], table[k].sum(), table[:, k].sum()
    return np.array([[both, first - both], [second - both, table.sum() - first - second + both]])


def cohen_kappa(table: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return kappa of each (..., c, c) table of counts or shares, NaN where it is undefined.

    >>> round(float(cohen_kappa(np.array([[20, 5], [10, 15]]))), 3)
    0.4
    """
    share = table / np.maximum(table.sum((-2, -1), keepdims=True), 1e-300)
    observed = np.trace(share, axis1=-2, axis2=-1)
    chance = (share.sum(-1) * share.sum(-2)).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(chance < 1 - 1e-12, (observed - chance) / (1 - chance), np.nan))


def draw_kappa(table: npt.NDArray[Any], rng: np.random.Generator, n_draws: int = N_DRAWS) -> npt.NDArray[np.float64]:
    """Return (n_draws,) draws of kappa from its posterior given a (c, c) table, under a Dirichlet prior.

    The prior weighs PRIOR_MASS images in all, spread evenly. Asymptotic and bootstrap intervals of rare classes cover
    a half of what they state; this one covers it (docs/quality.md). Time O(n_draws c^2).
    """
    c, drawn = len(table), []
    for start in range(0, n_draws, step := max(1, _BLOCK // (c * c))):
        n = min(step, n_draws - start)
        gammas = rng.standard_gamma(table.ravel() + PRIOR_MASS / (c * c), (n, c * c))
        drawn.append(cohen_kappa(gammas.reshape(n, c, c)))
    return np.concatenate(drawn)


def measure_agreement(
    table: npt.NDArray[Any], rng: np.random.Generator, *, confidence: float = 0.95, negative: int | None = None,
    bound: float | None = None,
) -> Agreement:  # fmt: skip
    """Return the agreement that a (c, c) table shows. negative: the class without a defect; None: the last one.

    bound: chance that at_least is wrong, and at_most; None: what the confidence leaves.
    """
    assert table.sum() > 0, "no pairs"
    c, n = len(table), int(table.sum())
    tail = (1 - confidence) / 2
    side = 2 * tail if bound is None else bound
    n_draws = min(MOST_DRAWS, max(N_DRAWS, math.ceil(TAIL_DRAWS / side)))
    ends = np.quantile(draw_kappa(table, rng, n_draws), [tail, 1 - tail, side, 1 - side])
    low, high, at_least, at_most = map(float, ends)
    kappa, observed = float(cohen_kappa(table)), float(np.trace(table)) / n
    ((none, only_first), (only_second, defect)) = one_vs_rest(table, c - 1 if negative is None else negative).tolist()
    split = only_first + only_second
    mean = (table.sum(0) + table.sum(1)) / (2 * n)
    chance = float((mean * (1 - mean)).sum()) / (c - 1) if c > 1 else 1.0  # Gwet (2008)
    return Agreement(
        n, None if math.isnan(kappa) else kappa, low, high, at_least, at_most, observed,
        2 * defect / (2 * defect + split) if defect + split else None,
        2 * none / (2 * none + split) if none + split else None,
        defect + split, (defect - none) / n, (only_second - only_first) / n,
        (c * observed - 1) / (c - 1) if c > 1 else 1.0, (observed - chance) / (1 - chance) if chance < 1 else None,
    )  # fmt: skip


def fleiss_kappa(counts: IntArray) -> float:
    """Return Fleiss' kappa (1971) of (n, c) counts of raters per class, the same number of raters for every image.

    NaN where all said one class.
    """
    counts = np.asarray(counts, np.float64)
    per_image = counts.sum(axis=1)
    assert len(counts), "no images"
    assert (per_image == per_image[0]).all(), "images with different numbers of raters: use krippendorff_alpha"
    assert per_image[0] >= 2
    share = counts.sum(axis=0) / counts.sum()
    observed = float(((counts * (counts - 1)).sum(axis=1) / (per_image * (per_image - 1))).mean())
    chance = float((share * share).sum())
    return (observed - chance) / (1 - chance) if chance < 1 - 1e-12 else math.nan


def krippendorff_alpha(counts: IntArray) -> float:
    """Return Krippendorff's nominal alpha (2004) of (n, c) counts of raters per class; raters may miss images.

    Images with fewer than two opinions are left out. NaN where all said one class or none is left.
    """
    counts = np.asarray(counts, np.float64)
    per_image = counts.sum(axis=1)
    counts, per_image = counts[per_image >= 2], per_image[per_image >= 2]
    totals, n = counts.sum(axis=0), float(per_image.sum())
    expected = n * n - float((totals * totals).sum())
    if expected <= 0:
        return math.nan
    differing = float(((per_image * per_image - (counts * counts).sum(axis=1)) / (per_image - 1)).sum())
    return 1 - (n - 1) * differing / expected


def kappa_variance(kappa: float, prevalence: float) -> float:
    """Return the variance of kappa times n, of two raters with the same share of defects (Fleiss, Cohen, Everitt 1969).

    >>> round(kappa_variance(0.9, 0.5), 3)
    0.19
    """
    p, q = prevalence, 1 - prevalence
    both, split, none = p * p + kappa * p * q, p * q * (1 - kappa), q * q + kappa * p * q
    chance = p * p + q * q
    left = 1 - kappa
    same = both * (1 - 2 * p * left) ** 2 + none * (1 - 2 * q * left) ** 2
    other = 2 * split * left * left  # (p + q)^2 = 1
    return max(0.0, same + other - (kappa - chance * left) ** 2) / (1 - chance) ** 2


def pairs_needed(half_width: float, prevalence: float, *, kappa: float = 0.9, confidence: float = 0.95) -> int:
    """Return how many images two raters must both label for an interval of kappa of so much to either side.

    prevalence: share of defects among them, 0..1; the rarer, the more. Asymptotic, so a little few where it is small.

    >>> pairs_needed(0.1, 0.5), pairs_needed(0.1, 0.2), pairs_needed(0.1, 0.05)
    (73, 116, 398)
    """
    if not 0 < prevalence < 1:
        return MOST_PAIRS
    return min(MOST_PAIRS, math.ceil(_quantile(0.5 + confidence / 2) ** 2 * kappa_variance(kappa, prevalence)
                                     / half_width**2 - 1e-9))  # fmt: skip


def pairs_to_decide(
    kappa: float, prevalence: float, threshold: float, *, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Return how many pairs tell a kappa from a threshold, one-sided, with so much power; MOST_PAIRS at most.

    >>> pairs_to_decide(0.95, 0.5, 0.9), pairs_to_decide(0.95, 0.1, 0.9)
    (242, 680)
    """
    apart = abs(kappa - threshold)
    if apart < 1e-6 or not 0 < prevalence < 1:
        return MOST_PAIRS
    wide = _quantile(confidence) + _quantile(power)
    return min(MOST_PAIRS, math.ceil(wide * wide * kappa_variance(kappa, prevalence) / apart**2))


def _quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))
