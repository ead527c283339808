"""How much made images may weigh beside real ones; arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray


def keep_floor(weights: FloatArray, classes: IntArray, is_made: BoolArray, floor: float) -> npt.NDArray[np.float64]:
    """Return the weights (m,) with made ones lowered until real ones keep a share ``floor`` of each class.

    floor: 0..1. A class without a real example keeps what it has: there is nothing to keep a share of.

    >>> keep_floor(np.ones(4), np.zeros(4, int), np.array([False, True, True, True]), 0.5).round(2).tolist()
    [1.0, 0.33, 0.33, 0.33]
    """
    kept = np.asarray(weights, np.float64).copy()
    for code in np.unique(classes):
        made, real = (classes == code) & is_made, (classes == code) & ~is_made
        most = kept[real].sum() * (1 - floor) / max(floor, 1e-9)
        if real.any() and kept[made].sum() > most:
            kept[made] *= most / kept[made].sum()
    return kept
