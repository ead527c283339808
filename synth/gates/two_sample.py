"""Whether a classifier can tell two sets of crops apart: real from synthetic, or untouched hosts from null pastes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synth.gates.space import Rows

N_FOLDS = 5
LEAST_ROWS = 4  # of either set; below, the figure would be chance


def two_sample_auc(first: Rows, second: Rows, first_groups: Sequence[str], second_groups: Sequence[str]) -> float:
    """Return how well a linear classifier tells the rows apart, 0.5 not at all, 1 always; NaN with too few.

    Cross-validated; a group (part, lot, donor) is never on both sides, so that it cannot pass by recognising a part.
    The better of AUC and 1 - AUC is not taken: below .5 is chance.
    """
    if min(len(first), len(second)) < LEAST_ROWS:
        return float("nan")
    rows = np.vstack([first, second])
    kinds = np.append(np.zeros(len(first), int), np.ones(len(second), int))
    groups = np.asarray([*first_groups, *second_groups])
    n_folds = min(N_FOLDS, len(set(first_groups)), len(set(second_groups)), len(first), len(second))
    if n_folds < 2:
        return float("nan")
    scores = _held_out(rows, kinds, groups, n_folds)
    known = ~np.isnan(scores)
    if len(set(kinds[known].tolist())) < 2:
        return float("nan")
    return float(roc_auc_score(kinds[known], scores[known]))


def chance_bound(n_first: int, n_second: int) -> float:
    """Return the AUC that two sets of one source exceed in 1 of 40 cases (2 deviations of the Mann-Whitney U)."""
    return 0.5 + 2 * float(np.sqrt((n_first + n_second + 1) / (12 * max(1, n_first * n_second))))


def _held_out(rows: Rows, kinds: npt.NDArray[np.int_], groups: npt.NDArray[np.str_], n_folds: int) -> Rows:
    """Return each row's score by a classifier that saw nothing of its group; NaN where none could be fitted."""
    scores = np.full(len(rows), np.nan, np.float32)
    for train, test in StratifiedGroupKFold(n_folds, shuffle=True, random_state=0).split(rows, kinds, groups):
        if len(set(kinds[train].tolist())) < 2:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000))
        model.fit(rows[train], kinds[train])
        scores[test] = model.decision_function(rows[test])
    return scores
