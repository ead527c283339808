"""What the model finds when it has not seen the part: out-of-fold scores of the linear head, groups never split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.proof import deal_group_folds, reject_threshold
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.training.head import fit_head

N_FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """Of each labelled image (m,). tested: it was held out. found: it is rejected at the threshold, all but good ones.

    threshold: of the defect score 1 - p(good) above which a part is rejected.
    """

    tested: BoolArray
    found: BoolArray
    threshold: float


def hold_out(
    vectors: FloatArray, classes: IntArray, groups: IntArray, n_classes: int, *, good: int, false_rejects: float,
    seed: int = 0,
) -> HeldOut | None:  # fmt: skip
    """Score every labelled image by a head that saw none of its group, and read which defects are found.

    vectors: (m, d) unit rows. classes: (m,). groups: (m,). good: the class that passes; where a good image is
    "found" it is rejected by mistake. None where nothing can be held out, or there is no good image to set a threshold.
    """
    scores = score_held_out(vectors, classes, groups, n_classes, good, seed)
    tested = np.isfinite(scores)
    is_good = classes == good
    if not (tested & is_good).any() or not (tested & ~is_good).any():
        return None
    threshold = reject_threshold(scores[tested & is_good], false_rejects)
    return HeldOut(tested, tested & (scores > threshold), threshold)


def score_held_out(
    vectors: FloatArray, classes: IntArray, groups: IntArray, n_classes: int, good: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return 1 - p(good) of each row (m,) by a head fitted to the other folds, NaN where it was in none."""
    scores = np.full(len(classes), np.nan)
    folds = deal_group_folds(classes, groups, N_FOLDS, derive_rng(seed, "gaps-folds"))
    for fold in range(N_FOLDS):
        test, train = folds == fold, folds != fold
        if not test.any() or len(np.unique(classes[train])) < 2:
            continue
        head = fit_head(np.asarray(vectors[train], np.float32), classes[train], n_classes, seed=seed)
        scores[test] = 1.0 - head.probabilities(np.asarray(vectors[test], np.float32))[:, good]
    return scores
