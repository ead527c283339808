"""How much a strategy believes the model: the weight of each image before distance or coverage has its say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import Pool
from activesel.uncertainty import score_margin, temper


def tempered_margin(pool: Pool, temperature: float) -> npt.NDArray[np.float64]:
    """Return 1 - margin of softmax(log p / temperature), (n,) 0..1, higher = more unsure.

    Without probabilities the pool's uncertainty; ones without a model. temperature: > 1 for an over-confident model.
    """
    if pool.probs is None:
        return np.ones(pool.n) if pool.uncertainty is None else pool.uncertainty.astype(np.float64)
    return np.asarray(score_margin(temper(pool.probs, temperature)), dtype=np.float64)
