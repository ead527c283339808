"""The near-duplicate cap as a quota, for a whole pool and for a part of it alike."""

from __future__ import annotations

import numpy as np

from activesel.records import IntArray, Quota


def cap_groups(groups: IntArray, known: IntArray, cap: int) -> Quota:
    """Return the quota that lets at most ``cap`` rows of each group in, the ``known`` ones of it counted.

    groups: (n,) group number of each row. known: rows that are labelled or picked already.
    """
    n_groups = int(groups.max()) + 1
    taken = np.bincount(groups[known], minlength=n_groups)
    return Quota("the near-duplicate cap", groups, np.maximum(cap - taken, 0), np.zeros(n_groups, np.int64))
