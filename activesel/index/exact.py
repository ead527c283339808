"""Nearest rows by comparing with every row: for small pools, on a GPU, and as the truth to tune against."""

from __future__ import annotations

import numpy as np
import torch

from activesel.index.found import Found
from activesel.progress import Advance, ignore_progress
from activesel.records import IntArray
from activesel.tensors import Rows

BLOCK_COLUMNS = 16384
BLOCK_VALUES = {"cpu": 1 << 23, "cuda": 1 << 28}  # similarities at a time: 32 MB, 1 GB


class ExactSearch:
    """Every row against every row: recall 1, time O(q n d), memory O(q k) beside one block."""

    def __init__(self, vectors: Rows) -> None:
        self._vectors = vectors
        self.order: IntArray = np.arange(len(vectors))

    def find(self, rows: IntArray, k: int, advance: Advance = ignore_progress) -> Found:
        """See `Search`. Equal ones by row number at the end of the list, too."""
        similarity = np.zeros((len(rows), k), np.float32)
        neighbours = np.full((len(rows), k), -1, np.int32)
        step = max(1, BLOCK_VALUES.get(self._vectors.device.type, 1 << 23) // BLOCK_COLUMNS)
        for start in range(0, len(rows), step):
            best, where = self._find_block(rows[start : start + step], k)
            width = best.shape[1]
            similarity[start : start + step, :width] = torch.where(where < 0, 0.0, best).cpu().numpy()
            neighbours[start : start + step, :width] = where.int().cpu().numpy()
            advance(len(best))
        return similarity, neighbours

    def _find_block(self, rows: IntArray, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        queries = self._vectors.exact(rows)
        own = torch.as_tensor(rows, dtype=torch.int64, device=queries.device)
        best = torch.empty((len(rows), 0), device=queries.device)
        where = torch.empty((len(rows), 0), dtype=torch.int64, device=queries.device)
        for columns in self._vectors.blocks(BLOCK_COLUMNS):
            similarity = queries @ self._vectors.exact(columns).T
            inside = torch.nonzero((own >= columns.start) & (own < columns.stop))[:, 0]
            similarity[inside, own[inside] - columns.start] = -torch.inf
            candidates, at = _top_in_order(similarity, k)
            both = torch.cat([best, candidates], dim=1)
            numbers = torch.cat([where, at + columns.start], dim=1)
            best, kept = _top_in_order(both, k)
            where = numbers.gather(1, kept)
        return best, torch.where(best == -torch.inf, -1, where)


def _top_in_order(values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the k largest of each line and their columns, largest first, equal ones by column: unlike topk's."""
    k = min(k, values.shape[1])
    largest, columns = values.topk(min(k + 1, values.shape[1]), dim=1)
    tied = torch.nonzero(largest[:, k - 1] == largest[:, -1])[:, 0] if largest.shape[1] > k else columns[:0, 0]
    columns = columns[:, :k].clone()
    if len(tied):
        columns[tied] = _first_columns(values[tied], largest[tied, k - 1 : k], k)
    columns = columns.sort(dim=1).values
    best, order = values.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return best, columns.gather(1, order)


def _first_columns(values: torch.Tensor, last: torch.Tensor, k: int) -> torch.Tensor:
    """Return the columns of the values above ``last`` (q, 1), and of the first ones equal to it up to k a line."""
    above, equal = values > last, values == last
    room = k - above.sum(dim=1, keepdim=True)
    taken = above | (equal & (equal.cumsum(dim=1) <= room))
    return torch.nonzero(taken)[:, 1].view(-1, k)
