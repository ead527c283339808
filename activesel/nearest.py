"""Exact nearest anchor of every row, block by block; for distances to labels, coverage, and who stands for whom."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.records import FloatArray, IntArray
from activesel.tensors import to_tensor

BLOCK_ROWS = 8192
BLOCK_ANCHORS = 4096


def find_nearest(vectors: FloatArray, anchors: IntArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return each row's largest cosine to an anchor row and that anchor's position in ``anchors``: (n,), (n,).

    vectors: (n, d) unit rows. An anchor's nearest anchor is itself. Ties go to the earlier anchor. Without anchors the
    cosine is -1 and the position -1. Time O(n a d), memory O(n).
    """
    n = len(vectors)
    similarity = np.full(n, -1.0, dtype=np.float32)
    position = np.full(n, -1, dtype=np.int32)
    for first in range(0, len(anchors), BLOCK_ANCHORS):
        chunk = _block(vectors, anchors[first : first + BLOCK_ANCHORS]).T
        for start in range(0, n, BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, n))
            best, where = (_block(vectors, rows) @ chunk).max(dim=1)
            better = best.numpy() > similarity[rows]
            similarity[rows] = np.where(better, best.numpy(), similarity[rows])
            position[rows] = np.where(better, where.numpy() + first, position[rows])
    position[anchors[::-1]] = np.arange(len(anchors), dtype=np.int32)[::-1]
    return np.clip(similarity, -1.0, 1.0), position


def find_nearest_k(vectors: FloatArray, rows: IntArray, anchors: IntArray, k: int) -> npt.NDArray[np.float32]:
    """Return the cosines of ``rows`` to their k nearest anchors, nearest first: (r, min(k, a)) float32."""
    k = min(k, len(anchors))
    best = torch.full((len(rows), k), -2.0)
    for first in range(0, len(anchors), BLOCK_ANCHORS):
        chunk = _block(vectors, anchors[first : first + BLOCK_ANCHORS]).T
        for start in range(0, len(rows), BLOCK_ROWS):
            here = slice(start, min(start + BLOCK_ROWS, len(rows)))
            both = torch.cat([best[here], _block(vectors, rows[here]) @ chunk], dim=1)
            best[here] = both.topk(k, dim=1).values
    return np.asarray(best.clamp(-1.0, 1.0).numpy(), dtype=np.float32)


def to_distance(similarity: FloatArray) -> npt.NDArray[np.float32]:
    """Turn cosines of unit rows into Euclidean distances, 0 same .. 2 opposite."""
    return np.asarray(np.sqrt(np.maximum(2.0 - 2.0 * similarity, 0.0)), dtype=np.float32)


def _block(vectors: FloatArray, rows: slice | IntArray) -> torch.Tensor:
    return to_tensor(vectors[rows])
