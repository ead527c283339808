"""Greedy weighted coverage on a sparse graph: the engine of herding, facility location, ProbCover and the default."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from activesel.records import FloatArray, IntArray, KnnGraph, Picks
from activesel.strategies.tally import Tally, fill_at_random

Weights = npt.NDArray[np.float64]


def kernel_matrix(graph: KnnGraph, kernel: npt.NDArray[np.float32], n: int) -> csr_matrix:
    """Return the symmetric (n, n) matrix of kernel values along graph edges, 1 on the diagonal.

    kernel: (n, k) values 0..1 of each edge, 0 = no edge. An edge counts in both directions even where only one end
    has the other among its k nearest, so that hubs reach all that they are near to.
    """
    real = (graph.neighbours >= 0) & (kernel > 0)
    rows = np.repeat(np.arange(n, dtype=np.int32), real.sum(axis=1))
    one_way = csr_matrix((kernel[real], (rows, graph.neighbours[real])), shape=(n, n), dtype=np.float32)
    one_way.setdiag(1.0)
    both: csr_matrix = one_way.maximum(one_way.T).tocsr()
    both.sort_indices()
    return both


def cover(
    matrix: csr_matrix, weight: FloatArray, labelled: IntArray, tally: Tally, rng: np.random.Generator, *notes: str
) -> Picks:
    """Pick greedily the row x with the largest sum_i weight_i * max(matrix[x, i] - covered_i, 0).

    covered_i is the largest kernel value between i and a labelled or picked row. The objective is monotone submodular,
    so greedy reaches at least 1 - 1/e of the optimum (Nemhauser et al. 1978). Gains are kept exact: a pick touches only
    its neighbours' neighbours. Time O(nnz + b (k^2 + n)), memory O(nnz).
    Once nothing is left to gain, the rest of the budget is drawn at random, and a note says so.
    """
    coverage = _Coverage(matrix, np.asarray(weight, dtype=np.float64))
    for row in labelled:
        coverage.add(int(row))
    gain = coverage.all_gains()
    gain[~tally.open] = -np.inf
    rate, uniform = tally.rate.astype(np.float64), bool(np.ptp(tally.rate) == 0)
    while not tally.full:
        best = int(np.argmax(gain if uniform else gain * rate))
        if gain[best] <= 1e-12:
            n_random = fill_at_random(tally, rng)
            return tally.picks(*notes, f"the pool is covered after {len(tally) - n_random} picks; the rest is random")
        closed = tally.take(best, gain[best])
        coverage.add(best, gain)
        gain[closed] = -np.inf
    return tally.picks(*notes)


class _Coverage:
    """How well each row is covered, and what each candidate would still add."""

    def __init__(self, matrix: csr_matrix, weight: Weights) -> None:
        self._starts, self._columns, self._kernel = matrix.indptr, matrix.indices, matrix.data
        self._weight = weight
        self._covered = np.zeros(len(weight), dtype=np.float64)

    def all_gains(self) -> Weights:
        """Return the gain of every row, (n,)."""
        adds = np.maximum(self._kernel - self._covered[self._columns], 0.0) * self._weight[self._columns]
        return np.asarray(np.add.reduceat(adds, self._starts[:-1]), dtype=np.float64)

    def add(self, row: int, gain: Weights | None = None) -> None:
        """Cover what ``row`` reaches; correct ``gain`` in place for every row whose gain that lowers."""
        reached = self._columns[self._starts[row] : self._starts[row + 1]]
        kernel = self._kernel[self._starts[row] : self._starts[row + 1]].astype(np.float64)
        better = kernel > self._covered[reached]
        reached, new = reached[better], kernel[better]
        old = self._covered[reached]
        self._covered[reached] = new
        if gain is not None and len(reached):
            self._lower_gains(gain, reached, old, new)

    def _lower_gains(self, gain: Weights, reached: IntArray, old: Weights, new: Weights) -> None:
        """Each neighbour j of a newly covered i loses weight_i * (max(k_ji - old_i, 0) - max(k_ji - new_i, 0))."""
        counts = self._starts[reached + 1] - self._starts[reached]
        offsets = np.repeat(self._starts[reached] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        edges = np.arange(int(counts.sum())) + offsets
        kernel = self._kernel[edges]
        loss = np.maximum(kernel - np.repeat(old, counts), 0.0) - np.maximum(kernel - np.repeat(new, counts), 0.0)
        np.subtract.at(gain, self._columns[edges], loss * np.repeat(self._weight[reached], counts))
