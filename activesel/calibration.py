"""How far a model's confidence can be believed, and from which confidence on its word may count; arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.proof import images_needed, lower_bound
from activesel.records import BoolArray, FloatArray, IntArray

N_BINS = 15
STEP = 1.1  # each threshold lets in a tenth more groups than the one before


@dataclass(frozen=True)
class Threshold:
    """Of one predicted class: from which confidence on its word may count.

    value: None where no threshold is proved; why says what lacks. tested: groups at or above it. precision: the bound
    that they show. escaped: the upper bound of the share of other classes' groups that would be taken for this one.
    """

    value: float | None
    tested: int
    precision: float
    escaped: float
    why: str = ""


@dataclass(frozen=True)
class Standard:
    """precision: share of accepted images that must be right. escapes: most of the other classes' images that may be
    accepted as the class: where defects are rare, precision alone is met by calling everything good. confidence: of
    both, one-sided."""

    precision: float
    escapes: float
    confidence: float


def expected_calibration_error(confidence: FloatArray, right: BoolArray, n_bins: int = N_BINS) -> float:
    """Return the mean gap between confidence and accuracy over bins of equal width (Naeini et al. 2015), 0..1.

    confidence: (n,) of the likeliest class. right: (n,). Lower = better; of few images it is too high.

    >>> expected_calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
    0.0
    """
    bins = np.minimum((np.asarray(confidence) * n_bins).astype(np.int64), n_bins - 1)
    gaps = np.bincount(bins, weights=np.asarray(confidence, np.float64) - right, minlength=n_bins)
    return float(np.abs(gaps).sum() / max(1, len(right)))


def prove_threshold(
    probs: FloatArray, classes: IntArray, groups: IntArray, number: int, standard: Standard
) -> Threshold:
    """Find the lowest confidence from which images predicted as class ``number`` may be accepted unseen.

    probs: (n, c) of images that the model has not seen. classes: (n,) true ones. groups: (n,) images of one part stand
    or fall together: a group is right where all of its accepted images are. Thresholds are tried from the strictest
    that so many groups can prove, each letting in a tenth more; the first that fails ends it, so that trying several
    does not make one pass by luck (fixed-sequence testing). Which are tried follows from the confidences alone.
    """
    predicted = probs.argmax(axis=1) == number
    score = np.where(predicted, probs[:, number], -1.0)
    names, of_row = np.unique(groups, return_inverse=True)
    best = np.full(len(names), -1.0)
    np.maximum.at(best, of_row, score)
    ranked = np.sort(best[best > 0])[::-1]
    needed = images_needed(standard.precision, standard.confidence, misses=1) or len(ranked) + 1
    proved = Threshold(None, len(ranked), 0.0, 1.0, f"{len(ranked)} groups are predicted so, {needed} are needed")
    count = needed
    while count <= len(ranked):
        tried = _try(float(ranked[count - 1]), score, classes == number, of_row, standard)
        if tried.value is None:
            return proved if proved.value is not None else tried
        proved = tried
        count = max(count + 1, min(len(ranked), int(count * STEP))) if count < len(ranked) else count + 1
    return proved


def _try(value: float, score: FloatArray, own: BoolArray, of_row: IntArray, standard: Standard) -> Threshold:
    accepted = score >= value
    touched, wrong = np.unique(of_row[accepted]), np.unique(of_row[accepted & ~own])
    others = np.unique(of_row[~own])
    precision = lower_bound(len(touched) - len(wrong), len(touched), standard.confidence)
    escaped = 1 - lower_bound(len(others) - len(wrong), len(others), standard.confidence) if len(others) else 1.0
    why = ""
    if precision < standard.precision:
        why = f"{len(wrong)} of {len(touched)} groups are wrong: {precision:.3f} is shown of {standard.precision:g}"
    elif escaped > standard.escapes:
        why = f"up to {escaped:.1%} of the {len(others)} groups of other classes would pass for it"
    return Threshold(None if why else value, len(touched), precision, escaped, why)
