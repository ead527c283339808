"""Bootstrap over groups without a loop over images: how often each group is drawn, and what scores say under that.

Rows of a draw are weights (b, g): b resamples, g groups. Images of a group are drawn together, since pictures of one
part stand or fall together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.proof import Interval, wilson
from activesel.records import BoolArray, FloatArray, IntArray

BLOCK = 100  # resamples at a time: of 10,000 images 4 MB a table
_EPSILON = 1e-9  # counts are whole; a share of them may miss a whole number by rounding


@dataclass(frozen=True)
class Ranked:
    """Some images in the order of falling scores. scores: (n,), falling. groups: (n,) of each, 0..g-1. n_all: how many
    there are, where those listed are only the first of them."""

    scores: npt.NDArray[np.float64]
    groups: npt.NDArray[np.int64]
    n_all: int

    def top(self, false_rejects: float) -> Ranked:
        """Return as many of the first as any threshold at this rate can lie among; the rest only count."""
        n = min(self.n_all, math.ceil(3 * false_rejects * self.n_all) + 50)
        return Ranked(self.scores[:n], self.groups[:n], self.n_all)


def rank(scores: FloatArray, groups: IntArray, kept: BoolArray) -> Ranked:
    """Return the kept images of scores (n,), groups (n,), the highest score first."""
    rows = np.flatnonzero(kept)
    order = rows[np.argsort(-np.asarray(scores, np.float64)[rows], kind="stable")]
    return Ranked(np.asarray(scores, np.float64)[order], np.asarray(groups, np.int64)[order], len(order))


def strata_of(groups: IntArray, is_defect: BoolArray, is_calibration: BoolArray) -> npt.NDArray[np.int64]:
    """Return (g,) a code of each group 0..g-1 of images (n,): on which side it is, and whether it holds a defect.

    Groups of one code are drawn among themselves, so that no resample lacks either side, defects or good parts.
    """
    found = np.zeros(int(np.max(groups, initial=-1)) + 1, np.int64)
    np.bitwise_or.at(found, groups, is_defect + 2 * is_calibration.astype(np.int64))
    return found


def draw_weights(
    strata: IntArray, rng: np.random.Generator, n_resamples: int, wanted: BoolArray | None = None
) -> npt.NDArray[np.float32]:
    """Return (n_resamples, g): how often each group is drawn, as many of each stratum as there are.

    wanted: (g,) groups that anybody asks about; of the others it is only known that they take their share of the
    draws, and they are 0. A few hundred of thousands of good parts lie near a threshold.
    """
    weights = np.zeros((n_resamples, len(strata)), np.float32)
    for code in np.unique(strata):
        of_code = strata == code
        members = np.flatnonzero(of_code if wanted is None else of_code & wanted)
        n, n_all = len(members), int(of_code.sum())
        if not n:
            continue
        n_drawn = rng.binomial(n_all, n / n_all, n_resamples) if n < n_all else np.full(n_resamples, n)
        at = rng.integers(0, n, int(n_drawn.sum())) + np.repeat(n * np.arange(n_resamples), n_drawn)
        weights[:, members] = np.bincount(at, minlength=n * n_resamples).reshape(n_resamples, n)
    return weights


def draw_blocks(
    strata: IntArray, rng: np.random.Generator, n_resamples: int, wanted: BoolArray | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield draws of at most BLOCK resamples, n_resamples in all."""
    for start in range(0, n_resamples, BLOCK):
        yield draw_weights(strata, rng, min(BLOCK, n_resamples - start), wanted)


def whole(n_groups: int) -> npt.NDArray[np.float32]:
    """Return (1, g): every group once, which is what was seen."""
    return np.ones((1, n_groups), np.float32)


def fit_thresholds(good: Ranked, weights: npt.NDArray[np.float32], false_rejects: float) -> npt.NDArray[np.float64]:
    """Return (b,) the score above which a part is rejected, so that at most this share of the good ones is.

    With weights of one it is proof.reject_threshold. Without any good image it is -inf: everything is rejected. Where
    ``good`` is but its top, the share is of all that were seen.
    """
    n = len(good.scores)
    if not n:
        return np.full(len(weights), -math.inf)
    total = weights @ _count(good.groups, weights) if n == good.n_all else np.float32(good.n_all)
    allowed = np.floor(false_rejects * np.asarray(total, np.float64) + _EPSILON) * np.ones(len(weights))
    first = good.top(false_rejects)
    cumulated = weights[:, first.groups].cumsum(axis=1)
    if len(first.scores) < n and (cumulated[:, -1] <= allowed).any():
        cumulated = weights[:, good.groups].cumsum(axis=1)
    is_last = cumulated > allowed[:, None]
    at = np.where(is_last.any(axis=1), is_last.argmax(axis=1), n - 1)
    return good.scores[at]


def share_above(
    images: Ranked, weights: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return (b,) the share of images with a score above each resample's threshold; NaN where none is drawn."""
    n_above = np.searchsorted(-images.scores, -thresholds, side="left")
    n_most = int(n_above.max(initial=0))
    cumulated = weights[:, images.groups[:n_most]].cumsum(axis=1)
    found = np.zeros(len(weights))
    some = n_above > 0
    found[some] = cumulated[some, n_above[some] - 1]
    total = weights @ _count(images.groups, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(found / np.where(total > 0, total, np.nan), np.float64)


def interval_of(value: float, resampled: FloatArray, confidence: float) -> Interval:
    """Return a value with the percentile interval of its resamples, those that are NaN left out."""
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return Interval(value, value, value)
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(value, float(min(low, value)), float(max(high, value)))


def widen_share(found: Interval, hits: BoolArray, groups: IntArray, confidence: float) -> Interval:
    """Return the wider of a share's interval and Wilson's over its groups, each group counted once.

    A bootstrap of 20 found out of 20 says 1 to 1, which nobody should believe. hits, groups: (m,) of its images.
    """
    if not len(hits):
        return found
    _, of_row = np.unique(groups, return_inverse=True)
    per_group = np.bincount(of_row, weights=hits) / np.bincount(of_row)
    other = wilson(min(float(per_group.sum()), len(per_group)), len(per_group), confidence)
    return Interval(found.value, min(found.low, other.low), max(found.high, other.high))


def _count(groups: IntArray, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (g,) the images of each group, in the type of the weights: counts are exact in it up to 16 million."""
    return np.bincount(groups, minlength=weights.shape[1]).astype(np.float32)
