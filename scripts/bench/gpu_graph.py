"""An exact kNN graph by brute force on a GPU: products in bfloat16 find candidates, float32 ranks them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

QUERY_ROWS = 4096
COLUMN_ROWS = 131_072
SPARE = 16  # candidates more than asked for, so that bfloat16's rounding loses none of the k


def brute_force_graph(
    vectors: npt.NDArray[Any], k: int, device: str
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return neighbours (n, k) int32 and cosines (n, k) float32 of (n, d) unit rows, nearest first, itself left out."""
    import torch

    stored = torch.from_numpy(vectors).to(device)
    rough = stored.bfloat16()
    n = len(stored)
    k = min(k, n - 1)
    neighbours, similarity = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    for start in range(0, n, QUERY_ROWS):
        candidates = _candidates(rough, start, min(k + SPARE, n - 1))
        queries = stored[start : start + QUERY_ROWS].float()
        cosine = torch.einsum("qd,qcd->qc", queries, stored[candidates].float())
        best, where = cosine.topk(k, dim=1)
        rows = slice(start, start + len(queries))
        similarity[rows] = best.cpu().numpy()
        neighbours[rows] = candidates.gather(1, where).int().cpu().numpy()
    return neighbours, similarity


def _candidates(rough: Any, start: int, count: int) -> Any:
    """Return (q, count) row numbers with the largest rough cosine to each query row, itself left out."""
    import torch

    queries = rough[start : start + QUERY_ROWS]
    own = torch.arange(start, start + len(queries), device=rough.device)
    best = torch.full((len(queries), count), -2.0, dtype=rough.dtype, device=rough.device)
    rows = torch.zeros((len(queries), count), dtype=torch.int64, device=rough.device)
    for first in range(0, len(rough), COLUMN_ROWS):
        cosine = queries @ rough[first : first + COLUMN_ROWS].T
        inside = ((own >= first) & (own < first + cosine.shape[1])).nonzero()[:, 0]
        cosine[inside, own[inside] - first] = -2.0
        near, where = cosine.topk(min(count, cosine.shape[1]), dim=1)
        both, all_rows = torch.cat([best, near], dim=1), torch.cat([rows, where + first], dim=1)
        best, kept = both.topk(count, dim=1)
        rows = all_rows.gather(1, kept)
    return rows
