"""What images drawn at random say about the whole line, beside those that a strategy chose; arrays only.

Weights are how many images of the line a labelled one stands for: 1 / chance for one drawn at random, 1 for one that a
rule was sure to pick. Higher = stands for more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.proof import Interval
from activesel.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Weighted:
    """A share of the line with its interval. n: labelled images that it rests on. size: how many drawn at random they
    are worth, below n where weights differ or pictures of one part count once."""

    share: Interval
    n: int
    size: float


@dataclass(frozen=True)
class LineEstimate:
    """Shares of the line. None: no labelled image says anything about it.

    prevalence: defects among all. recall: rejected among defects. precision: defects among the rejected. error: images
    whose predicted class is not their own.
    """

    prevalence: Weighted | None
    recall: Weighted | None
    precision: Weighted | None
    error: Weighted | None


def effective_size(weights: FloatArray) -> float:
    """Return how many equal weights are worth as much: (sum w)^2 / sum w^2 (Kish 1965), 1..n; 0 of none.

    >>> effective_size(np.array([1.0, 1.0, 1.0, 1.0])), round(effective_size(np.array([1.0, 1.0, 10.0])), 2)
    (4.0, 1.41)
    """
    found = np.asarray(weights, np.float64)
    return float(found.sum() ** 2 / (found**2).sum()) if len(found) and found.any() else 0.0


def estimate_share(
    hits: BoolArray, weights: FloatArray, confidence: float, *, groups: IntArray | None = None,
    certain: BoolArray | None = None,
) -> Weighted | None:  # fmt: skip
    """Return the share of the line that ``hits`` (n,) are by Hajek's ratio, sum w hit / sum w; None of no image.

    groups: (n,) pictures of one part, which stand or fall together. certain: (n,) rows that were picked for sure and so
    add nothing to the uncertainty. Wilson's interval on the effective size, which follows from the linearised variance
    and is never above Kish's (Korn & Graubard 1998, Survey Methodology 24:193), with Student's quantile.
    """
    weights = np.asarray(weights, np.float64)
    if not len(hits) or not weights.sum():
        return None
    drawn = np.ones(len(hits), bool) if certain is None else ~certain
    of_row = np.arange(len(hits)) if groups is None else np.unique(groups, return_inverse=True)[1]
    share = float(weights[hits].sum() / weights.sum())
    per_group = np.bincount(of_row, weights=weights).astype(np.float64)
    n_drawn = len(np.unique(of_row[drawn]))
    most = effective_size(per_group)
    residuals = np.bincount(of_row, weights=weights * (hits - share) * drawn)
    variance = float((residuals**2).sum()) / float(weights.sum()) ** 2 * n_drawn / max(1, n_drawn - 1)
    size = most if variance <= 0 else min(most, share * (1 - share) / variance)
    if n_drawn == 0:  # all of the line is labelled
        return Weighted(Interval(share, share, share), len(hits), float(len(hits)))
    return Weighted(_interval(share, max(size, 1e-9), n_drawn, confidence), len(hits), size)


def estimate_line(
    defect: BoolArray, rejected: BoolArray, wrong: BoolArray, weights: FloatArray, confidence: float, *,
    groups: IntArray | None = None, certain: BoolArray | None = None,
) -> LineEstimate:  # fmt: skip
    """Estimate what a model does on the line. defect: (n,) by label. rejected: (n,) by the model, before it learned
    from the label. wrong: (n,) its class is not the label's. Others as of ``estimate_share``.

    Recall is found / (found + missed), both shares of the whole line with their own intervals, whose ends are put
    together: that holds where no random image happened to be a defect, and is wider than it needs to be elsewhere.
    """

    def share(hits: BoolArray, level: float = confidence) -> Weighted | None:
        return estimate_share(hits, weights, level, groups=groups, certain=certain)

    def ratio(hits: BoolArray, rows: BoolArray) -> Weighted | None:
        level = 1 - 2 * (1 - confidence)  # both ends at their worst at once are rarer than either
        yes, no = share(hits & rows, level), share(~hits & rows, level)
        if yes is None or no is None or yes.share.value + no.share.value == 0:
            return None
        value = yes.share.value / (yes.share.value + no.share.value)
        low = yes.share.low / max(yes.share.low + no.share.high, 1e-12)
        high = yes.share.high / max(yes.share.high + no.share.low, 1e-12)
        size = effective_size(np.asarray(weights, np.float64)[rows])
        return Weighted(Interval(value, min(low, value), max(high, value)), int(rows.sum()), size)

    return LineEstimate(share(defect), ratio(rejected, defect), ratio(defect, rejected), share(wrong))


def horvitz_thompson(hits: BoolArray, chance: FloatArray, n_line: int, confidence: float) -> Interval:
    """Return the share of ``n_line`` images that are hits: sum hit / chance / n_line (Horvitz & Thompson 1952).

    chance: (n,) of each image to be drawn, 0..1. Unbiased whatever the weights sum to, and wider than Hajek's where
    they do not sum to n_line. Variance as of independent draws.
    """
    chance = np.asarray(chance, np.float64)
    share = min(1.0, float((hits / chance).sum()) / n_line)
    variance = float(((1 - chance) / chance**2 * hits).sum()) / n_line**2
    most = effective_size(1 / chance)
    size = most if variance <= 0 else min(most, max(share * (1 - share), 1e-12) / variance)
    return _interval(share, max(size, 1e-9), max(2, len(hits)), confidence)


def round_weights(
    rounds: IntArray, drawn: BoolArray, pool_sizes: FloatArray
) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """Return the weight (n,) of each labelled image over several rounds, and which were certain (n,).

    rounds: (n,) in which round each was picked, 0..t-1. drawn: (n,) at random; the others were chosen. pool_sizes: (t,)
    images that each round drew from. In round t the line is what was known before (each for itself) and the pool (each
    drawn one for pool / draws of it), which is unbiased whatever was chosen when; rounds count by their draws. The
    prevalence does not sink as a selection takes defects out of the pool.
    """
    n_rounds = len(pool_sizes)
    draws = np.bincount(rounds[drawn], minlength=n_rounds).astype(np.float64)
    share = draws / max(1.0, draws.sum())
    later = np.concatenate((np.cumsum(share[::-1])[::-1][1:], [0.0]))  # of rounds after each
    weights = later[rounds]
    own = np.divide(share * pool_sizes, draws, out=np.zeros(n_rounds), where=draws > 0)
    weights = weights + np.where(drawn, own[rounds], 0.0)
    return weights, ~drawn


def lure_weights(chance: FloatArray, n_pool: int) -> npt.NDArray[np.float64]:
    """Return the weight (m,) of each of m images picked one after the other from a pool of n_pool.

    chance: (m,) that the image which was picked had at its turn, among those that were left, 0..1. The mean of weight
    times loss is then the pool's mean loss without bias, whichever way the chances lean (R_LURE of Farquhar et al.
    2021, arXiv:2101.11665, eq. 5). Chances of 1 / images left give weights of 1.

    >>> lure_weights(np.array([1 / 4, 1 / 3]), 4).round(9).tolist()
    [1.0, 1.0]
    """
    m = np.arange(1, len(chance) + 1, dtype=np.float64)
    inverse = 1.0 / ((n_pool - m + 1) * np.asarray(chance, np.float64))
    left = np.maximum(n_pool - m, 1.0)
    return np.asarray(1.0 + (n_pool - len(chance)) / left * (inverse - 1.0), np.float64)


def estimate_mean(losses: FloatArray, weights: FloatArray, n_pool: int, confidence: float) -> Interval:
    """Return the pool's mean loss from picks with LURE weights (m,), with Student's interval; the pool is finite.

    The interval is rough where few picks carry most of the weight: see ``effective_size``.
    """
    from scipy.special import stdtrit

    each = np.asarray(weights, np.float64) * losses
    mean = float(each.mean())
    left = max(0.0, 1 - len(each) / n_pool)
    spread = float(each.std(ddof=1)) if len(each) > 1 else float("inf")
    half = float(stdtrit(max(1, len(each) - 1), 0.5 + confidence / 2)) * spread * np.sqrt(left / len(each))
    return Interval(mean, mean - half, mean + half)


def good_turing(classes: IntArray) -> tuple[float, float]:
    """Return the chance that the next image drawn is of a class not seen among these (n,), and its standard error.

    The share of classes seen once among n (Good 1953, Biometrika 40:237); 1 of no image. Error as of Good's eq. 65.

    >>> good_turing(np.array([0, 0, 0, 1]))[0]
    0.25
    """
    n = len(classes)
    if not n:
        return 1.0, 1.0
    counts = np.unique(classes, return_counts=True)[1]
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / n, float(np.sqrt(max(0.0, once * (1 - once / n) + 2 * twice)) / n)


def _interval(share: float, size: float, n_drawn: int, confidence: float) -> Interval:
    from scipy.special import stdtrit

    z = float(stdtrit(max(1, n_drawn - 1), 0.5 + confidence / 2))
    centre = share + z * z / (2 * size)
    half = z * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    scale = 1 + z * z / size
    return Interval(share, max(0.0, float((centre - half) / scale)), min(1.0, float((centre + half) / scale)))
