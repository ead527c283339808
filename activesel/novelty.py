"""How unlike anything known an image is, from similarities to its nearest known images; finding those is elsewhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray


def score_novelty(similarity: FloatArray) -> npt.NDArray[np.float32]:
    """Return half the mean cosine distance to the nearest known images: (n, k) -> (n,), 0..1, higher = more novel.

    similarity: cosine to the k nearest labelled images, or to the nearest of the pool. 0 = the same as all of them,
    0.5 = at right angles, 1 = opposite, or nothing known at all. Entries that are NaN or infinite stand for neighbours
    that do not exist and are left out of the mean.

    >>> score_novelty(np.array([[1.0, 1.0], [0.5, -np.inf], [np.nan, np.nan]])).tolist()
    [0.0, 0.25, 1.0]
    """
    exists = np.isfinite(similarity)
    n_known = exists.sum(axis=1)
    total = np.where(exists, similarity, 0).sum(axis=1, dtype=np.float32)
    mean = np.where(n_known > 0, total / np.maximum(n_known, 1), -1)
    return np.clip((1 - mean) / 2, 0, 1).astype(np.float32)
