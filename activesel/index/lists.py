"""Rows grouped around centroids, so that a row is compared with the lists near it instead of with every row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.index.codes import Floats, inner_products
from activesel.index.workers import run_on_all_cores
from activesel.records import IntArray
from activesel.seeds import derive_rng
from activesel.tensors import Rows, rough_type

ROWS_PER_LIST = 400
MOST_LISTS = 16384  # assigning costs n times this many products
LONGEST_LIST = 4096  # thousands of copies of one image fall into one list; each of them would be compared with all
TRAINING_ROWS = 20  # per list
TRAINING_ROUNDS = 5
MOST_DIMENSIONS = 128
BASIS_ROWS = 16384
BLOCK_ROWS = 1024
GROUPED = 8
MOST_COLUMNS = 1 << 16  # that 16 bits can number


class Lists:
    """Directions that keep the pool's products best, and centroids of the rows in these.

    centroids: (l, p) float32. of_row: (n,) int32, the list of each row.
    """

    def __init__(self, vectors: Rows, seed: int) -> None:
        n_lists = max(1, min(len(vectors) // ROWS_PER_LIST, MOST_LISTS))
        self._basis = _find_basis(vectors, seed)
        step = max(1, len(vectors) // (TRAINING_ROWS * n_lists))
        self.sample = self._project_every(vectors, step)
        rng = derive_rng(seed, "index", "lists")
        self._set_centroids(self.sample[np.sort(rng.choice(len(self.sample), n_lists, replace=False))])
        for _ in range(TRAINING_ROUNDS):
            self._set_centroids(_average(self.sample, self._assign(self.sample), self.centroids))
        self.of_row: npt.NDArray[np.int32] = np.concatenate(
            [self._assign(self.project(vectors.exact(block))) for block in vectors.blocks(16 * BLOCK_ROWS)]
        )
        self._split_long_lists()

    def forget_sample(self) -> None:
        """Free what centroids and codes were learnt from."""
        self.sample = self.sample[:0].copy()

    def project(self, rows: torch.Tensor) -> Floats:
        """Bring (r, d) float32 rows into the lists' directions, (r, p)."""
        return np.asarray((rows @ self._basis).numpy())

    def nearest(self, queries: Floats, m: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the m lists nearest to each projected query, nearest first, and its products with their centroids."""
        near = _find_largest(self._score(queries), min(len(self.centroids), m + m // 4 + 2))
        products = inner_products(queries, self.centroids, near)
        order = np.argsort(self._half_norms[near] - products, axis=1, kind="stable")[:, :m]
        return np.take_along_axis(near, order, 1), np.take_along_axis(products, order, 1)

    def _score(self, queries: Floats) -> torch.Tensor:
        """Return what falls with the distance, (q, l and some) rough numbers: enough to tell near lists from far."""
        return _with_columns(queries, np.ones((2, len(queries)), np.float32)) @ self._rough.T

    def _assign(self, rows: Floats) -> npt.NDArray[np.int32]:
        lists = np.empty(len(rows), np.int32)

        def assign(start: int) -> None:
            stop = start + BLOCK_ROWS
            lists[start:stop] = self.nearest(rows[start:stop], 1)[0][:, 0]

        run_on_all_cores(assign, range(0, len(rows), BLOCK_ROWS))
        return lists

    def _set_centroids(self, centroids: Floats) -> None:
        self.centroids = np.ascontiguousarray(centroids)
        self._half_norms = np.einsum("ld,ld->l", centroids, centroids) / 2
        # The norm in two columns: one bfloat16 has 8 bits, two have 16.
        high = torch.from_numpy(-self._half_norms).bfloat16().float().numpy()
        rough = _with_columns(self.centroids, np.stack([high, -self._half_norms - high]))
        far_away = torch.zeros((-len(rough) % GROUPED, rough.shape[1]), dtype=rough.dtype)
        far_away[:, -2] = -torch.inf
        self._rough = torch.cat([rough, far_away])

    def _split_long_lists(self) -> None:
        """Cut lists into pieces of LONGEST_LIST rows, or more where they would be too many, that share a centroid."""
        longest = max(LONGEST_LIST, len(self.of_row) // (MOST_COLUMNS - 2 * MOST_LISTS))
        order = np.argsort(self.of_row, kind="stable")
        sizes = np.bincount(self.of_row, minlength=len(self.centroids))
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        piece = position // longest
        if not piece.any():
            return
        extra = np.maximum(0, (sizes - 1) // longest)
        first = len(self.centroids) + np.cumsum(extra) - extra
        self.of_row = np.where(piece > 0, first[self.of_row] + piece - 1, self.of_row).astype(np.int32)
        self._set_centroids(np.concatenate([self.centroids, np.repeat(self.centroids, extra, axis=0)]))

    def _project_every(self, vectors: Rows, step: int) -> Floats:
        parts = [
            self.project(vectors.exact(np.arange(-(-block.start // step) * step, block.stop, step)))
            for block in vectors.blocks(64 * BLOCK_ROWS)
        ]
        return np.concatenate(parts)


def _find_basis(vectors: Rows, seed: int) -> torch.Tensor:
    """Return (d, p): the leading directions of an evenly spaced sample, turned at random so that each holds as much as
    the next and 16 values describe them all equally well."""
    sample = vectors.exact(np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), BASIS_ROWS)).astype(np.int64)))
    p = min(vectors.d, MOST_DIMENSIONS)
    directions = torch.linalg.eigh((sample.T @ sample).double()).eigenvectors.flip(1)[:, :p].float()
    turn = np.linalg.qr(derive_rng(seed, "index", "turn").standard_normal((p, p)))[0].astype(np.float32)
    basis: torch.Tensor = directions @ torch.from_numpy(turn)
    return basis


def _average(rows: Floats, lists: IntArray, before: Floats) -> Floats:
    """Return the mean row of each list; where a list is empty, what it was."""
    sums = torch.zeros(before.shape).index_add_(0, torch.from_numpy(lists).long(), torch.from_numpy(rows)).numpy()
    sizes = np.bincount(lists, minlength=len(before)).astype(np.float32)[:, None]
    return np.asarray(np.where(sizes > 0, sums / np.maximum(sizes, 1), before), np.float32)


def _find_largest(values: torch.Tensor, m: int) -> npt.NDArray[np.int64]:
    """Return the columns of the m largest of each line of (q, c) rough values, in no order; c up to MOST_COLUMNS.

    A group's largest is found ten times as fast as the largest of all, and the m largest lie in the m best groups.
    """
    n_groups = values.shape[1] // GROUPED
    best = values.view(len(values), GROUPED, n_groups).amax(dim=1)
    groups = _largest_of(best, np.arange(n_groups, dtype=np.int32)[None], m)
    columns = (groups[:, None, :] + np.arange(0, values.shape[1], n_groups, dtype=np.int32)[:, None]).reshape(
        len(values), -1
    )
    return _largest_of(values.gather(1, torch.from_numpy(columns).long()), columns, m).astype(np.int64)


def _largest_of(values: torch.Tensor, columns: npt.NDArray[np.int32], m: int) -> npt.NDArray[np.int32]:
    """Return the columns (q, m) of the m largest values of each line; ``columns`` names those of (q, c) values.

    16 bits of value above 16 bits of column make one integer, and numpy selects integers a register at a time.
    """
    if values.dtype == torch.float32:
        bits = values.view(torch.int32)
        high = (bits ^ ((bits >> 31) & 0x7FFFFFFF)) & -0x10000  # integers in the order of the numbers, negative too
    else:
        bits = values.view(torch.int16)
        high = (bits ^ ((bits >> 15) & 0x7FFF)).int() << 16
    keys = high.numpy() | columns
    if m < keys.shape[1]:
        keys = np.partition(keys, keys.shape[1] - m, axis=1)[:, keys.shape[1] - m :]
    return np.asarray(keys & 0xFFFF, np.int32)


def _with_columns(values: Floats, columns: Floats) -> torch.Tensor:
    return torch.cat([torch.from_numpy(values), torch.from_numpy(columns).T], dim=1).to(rough_type(torch.device("cpu")))
