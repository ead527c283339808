"""Exact nearest anchor of every row, block by block; for distances to labels, coverage, and who stands for whom."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from activesel.records import FloatArray, IntArray
from activesel.tensors import Rows, rough_error, rough_type

BLOCK_ROWS = 16384
BLOCK_ANCHORS = 2048
GROUP = 64  # anchors whose rough products are judged together
STEP_ANCHORS, STEP_ROWS = 1024, 2048  # of one rough product, 4 MB: what the caches hold
ROUNDING = 1e-6  # of one cosine computed in products of different shapes
EXACT_UP_TO = 256  # anchors; with fewer, a rough pass saves nothing


def find_nearest(
    vectors: FloatArray, anchors: IntArray, device: str = "cpu"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return each row's largest cosine to an anchor row and that anchor's position in ``anchors``: (n,), (n,).

    vectors: (n, d) unit rows. An anchor's nearest anchor is itself. Ties go to the earlier anchor. Without anchors the
    cosine is -1 and the position -1. Time O(n a d), on a CPU most of it in bfloat16; memory O(n).
    """
    n = len(vectors)
    similarity, position = np.full(n, -1.0, dtype=np.float32), np.full(n, -1, dtype=np.int32)
    if not len(anchors):
        return similarity, position
    rows = Rows(vectors, device)
    known = rows.exact(anchors)
    exactly = len(anchors) <= EXACT_UP_TO or rows.device.type != "cpu"
    find = partial(_search_exactly, known=known) if exactly else _Search(known).find
    for block in rows.blocks(BLOCK_ROWS):
        near, where = find(rows.exact(block))
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


class _Search:
    """The nearest of some anchors: groups that can hold it by rough products, then exact products with those alone.

    Anchors that lie close together share a group, so that few groups come near a row's best.
    """

    def __init__(self, known: torch.Tensor) -> None:
        self._order = _split_evenly(known)
        self._anchors = known[self._order]
        missing = -len(known) % GROUP
        self._type = rough_type(known.device)
        rough = self._anchors.to(self._type)
        self._rough = torch.cat((rough, rough[-1:].expand(missing, -1)))
        self._products = torch.empty((STEP_ANCHORS, STEP_ROWS), dtype=self._type, device=known.device)

    def find(self, block: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(r, d) float32 rows -> the largest cosine (r,) and the anchor's position (r,); the first of equal ones."""
        best = torch.full((len(block),), -torch.inf, device=block.device)
        where = torch.zeros(len(block), dtype=torch.int64, device=block.device)
        group, row = self._hopeful(block).nonzero(as_tuple=True)
        ends = torch.bincount(group, minlength=len(self._rough) // GROUP).cumsum(0).tolist()
        for number, (start, end) in enumerate(pairwise([0, *ends])):
            if start == end:
                continue
            rows, members = row[start:end], slice(number * GROUP, (number + 1) * GROUP)
            near, at = (block[rows] @ self._anchors[members].T).max(dim=1)
            position = self._order[members][at]
            gain = near - best[rows]
            better = (gain > ROUNDING) | ((gain >= -ROUNDING) & (position < where[rows]))
            rows = rows[better]
            best[rows], where[rows] = near[better], position[better]
        return best, where

    def _hopeful(self, block: torch.Tensor) -> torch.Tensor:
        """Return which groups can hold each row's nearest, (groups, r) bool."""
        maxima = torch.cat([self._group_maxima(rows) for rows in torch.split(block.to(self._type), STEP_ROWS)], dim=1)
        # Two rough products that are both off as far as they can be, in opposite directions.
        least = maxima.amax(dim=0) - 2.0 * rough_error(self._type)
        return (maxima >= least) | (least <= 0.0)  # a row that is near to nothing looks everywhere

    def _group_maxima(self, rows: torch.Tensor) -> torch.Tensor:
        """Return each row's largest rough product with each group, (groups, r) float32, where it is not negative."""
        maxima, as_bits = [], torch.int32 if self._type == torch.float32 else torch.int16
        for anchors in torch.split(self._rough, STEP_ANCHORS):
            products = self._products[: len(anchors), : len(rows)]
            torch.mm(anchors, rows.T, out=products)
            # Numbers that are not negative are ordered as their bits are, and integers compare ten times as fast; a
            # maximum that is negative comes out wrong, but negative.
            bits = products.view(as_bits).view(-1, GROUP, len(rows)).amax(dim=1)
            maxima.append(bits.view(self._type).float())
        return torch.cat(maxima)


def _split_evenly(vectors: torch.Tensor) -> torch.Tensor:
    """Return an order of the rows (m,) in which each GROUP of them lies close together, ascending within a group.

    Halves the rows along the axis between two that lie far apart, again and again.
    """
    done, waiting = [], [torch.arange(len(vectors), device=vectors.device)]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= GROUP:
            done.append(rows.sort().values)
            continue
        here = vectors[rows]
        one = here[(here @ here[0]).argmin()]
        other = here[(here @ one).argmin()]
        along = (here @ (other - one)).argsort(stable=True)
        n_first = len(rows) // GROUP // 2 * GROUP or GROUP
        waiting += [rows[along[n_first:]], rows[along[:n_first]]]
    return torch.cat(done)
