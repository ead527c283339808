"""How much a strategy believes the model: the weight of each image before distance or coverage has its say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.errors import DataError
from activesel.records import Pool
from activesel.tensors import to_tensor

BLOCK_ROWS = {"cpu": 1 << 14, "cuda": 1 << 20}


def tempered_margin(pool: Pool, temperature: float) -> npt.NDArray[np.float64]:
    """Return 1 - margin of softmax(log p / temperature), (n,) 0..1, higher = more unsure.

    Without probabilities the pool's uncertainty; ones without a model. temperature: > 1 for an over-confident model.
    """
    if pool.probs is None:
        return np.ones(pool.n) if pool.uncertainty is None else pool.uncertainty.astype(np.float64)
    if not temperature > 0:
        raise DataError("temperature must be above 0", found=str(temperature))
    margin = np.zeros(pool.n)
    step = BLOCK_ROWS[torch.device(pool.device).type]
    for start in range(0, pool.n if pool.probs.shape[1] > 1 else 0, step):
        block = to_tensor(pool.probs[start : start + step]).to(pool.device).T.contiguous()
        margin[start : start + step] = _margin(block, temperature).cpu().numpy()
    return margin


def _margin(probs: torch.Tensor, temperature: float) -> torch.Tensor:
    """`score_margin` of `temper` where the strategy computes: (c, n), class by class since rows are short, -> (n,)."""
    first, second = probs[0], torch.zeros_like(probs[0])
    for column in probs[1:]:
        second = torch.maximum(second, torch.minimum(first, column))
        first = torch.maximum(first, column)
    # Divided by the highest first, so that a cold temperature cannot underflow the whole row.
    total = (probs / first).pow_(1.0 / temperature).sum(dim=0)
    return (1.0 - (1.0 - (second / first) ** (1.0 / temperature)) / total).clamp_(0.0, 1.0)
