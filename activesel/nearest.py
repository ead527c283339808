"""Exact nearest anchor of every row, block by block; for distances to labels, coverage, and who stands for whom."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.records import FloatArray, IntArray
from activesel.tensors import ROUGH_ERROR, Rows

BLOCK_ROWS = 8192
BLOCK_ANCHORS = 4096
GROUP = 64  # anchors whose rough products are judged together
EXACT_UP_TO = 1024  # anchors; with fewer, a rough pass saves nothing


def find_nearest(
    vectors: FloatArray, anchors: IntArray, device: str = "cpu"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return each row's largest cosine to an anchor row and that anchor's position in ``anchors``: (n,), (n,).

    vectors: (n, d) unit rows. An anchor's nearest anchor is itself. Ties go to the earlier anchor. Without anchors the
    cosine is -1 and the position -1. Time O(n a d), most of it in bfloat16; memory O(n).
    """
    n = len(vectors)
    similarity, position = np.full(n, -1.0, dtype=np.float32), np.full(n, -1, dtype=np.int32)
    if not len(anchors):
        return similarity, position
    rows = Rows(vectors, device)
    known = rows.exact(anchors)
    search = _search_exactly if len(anchors) <= EXACT_UP_TO else _search_roughly_first
    for block in rows.blocks(BLOCK_ROWS):
        near, where = search(rows.exact(block), known)
        similarity[block], position[block] = near.cpu().numpy(), where.cpu().numpy()
    position[anchors[::-1]] = np.arange(len(anchors), dtype=np.int32)[::-1]
    return np.clip(similarity, -1.0, 1.0), position


def find_nearest_k(
    vectors: FloatArray, rows: IntArray, anchors: IntArray, k: int, device: str = "cpu"
) -> npt.NDArray[np.float32]:
    """Return the cosines of ``rows`` to their k nearest anchors, nearest first: (r, min(k, a)) float32."""
    pool = Rows(vectors, device)
    k = min(k, len(anchors))
    best = torch.full((len(rows), k), -2.0, device=pool.device)
    for first in range(0, len(anchors), BLOCK_ANCHORS):
        chunk = pool.exact(anchors[first : first + BLOCK_ANCHORS]).T
        for start in range(0, len(rows), BLOCK_ROWS):
            here = slice(start, min(start + BLOCK_ROWS, len(rows)))
            both = torch.cat([best[here], pool.exact(rows[here]) @ chunk], dim=1)
            best[here] = both.topk(k, dim=1).values
    return np.asarray(best.clamp(-1.0, 1.0).cpu().numpy(), dtype=np.float32)


def to_distance(similarity: FloatArray) -> npt.NDArray[np.float32]:
    """Turn cosines of unit rows into Euclidean distances, 0 same .. 2 opposite."""
    return np.asarray(np.sqrt(np.maximum(2.0 - 2.0 * similarity, 0.0)), dtype=np.float32)


def _search_exactly(block: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    near, where = (block @ known.T).max(dim=1)
    return near, where


def _search_roughly_first(block: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the groups of anchors that can hold each row's nearest by rough products, then look into those exactly."""
    best = torch.full((len(block),), -torch.inf, device=block.device)
    where = torch.zeros(len(block), dtype=torch.int64, device=block.device)
    group_best = _group_maxima(block.bfloat16(), known.bfloat16())
    # Two rough products that are both off by ROUGH_ERROR, in opposite directions.
    hopeful = group_best.float() >= group_best.amax(dim=0).float() - 2.0 * ROUGH_ERROR
    for group, is_hopeful in enumerate(hopeful):
        rows = is_hopeful.nonzero().ravel()
        if not len(rows):
            continue
        near, at = _search_exactly(block[rows], known[group * GROUP : (group + 1) * GROUP])
        better = near > best[rows]
        rows = rows[better]
        best[rows], where[rows] = near[better], at[better] + group * GROUP
    return best, where


def _group_maxima(rows: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return each row's largest product with each group of GROUP anchors, (groups, r)."""
    maxima = [_reduce(rows @ chunk.T) for chunk in torch.split(anchors, 16 * GROUP)]
    return torch.cat(maxima, dim=1).T.contiguous()


def _reduce(products: torch.Tensor) -> torch.Tensor:
    """(r, a) -> (r, ceil(a / GROUP)): the largest of each group; the last group may be smaller."""
    missing = -products.shape[1] % GROUP
    if missing:
        products = torch.nn.functional.pad(products, (0, missing), value=-torch.inf)
    return products.view(len(products), -1, GROUP).amax(dim=2)
