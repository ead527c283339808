"""Greedy weighted coverage on a sparse graph: the engine of herding, facility location, ProbCover, sparse coverage."""

from __future__ import annotations

import numpy as np
import torch

from activesel.journal import State
from activesel.records import FloatArray, IntArray, Picks
from activesel.strategies.links import Edges, Links
from activesel.strategies.tally import Tally, fill_at_random
from activesel.tensors import one_thread

ACTIVE_ROWS = 16384  # rows with the largest gains, looked at for each pick
BLOCK_ROWS = 8192
LEAST_GAIN = 1e-12


def cover(
    links: Links, weight: FloatArray, labelled: IntArray, tally: Tally, rng: np.random.Generator, *notes: str
) -> Picks:
    """Pick greedily the row x with the largest sum_i weight_i * max(kernel(x, i) - covered_i, 0).

    covered_i is the largest kernel value between i and a labelled or picked row. The objective is monotone submodular,
    so greedy reaches at least 1 - 1/e of the optimum (Nemhauser et al. 1978). Gains are kept exact: a pick touches only
    its neighbours' neighbours; and since gains only shrink, the largest are set apart once and for many picks.
    Time O(nnz + b k^2), memory O(n) beside the links. Weights and gains are float64, n of each; kernels float32.
    Once nothing is left to gain, the rest of the budget is drawn at random, and a note says so.
    """
    coverage = _Coverage(links, weight, tally.resume() or labelled)
    rate = torch.from_numpy(tally.rate.astype(np.float64)).to(links.device)
    while not tally.full:
        is_open = torch.from_numpy(tally.open).to(links.device)
        score = torch.where(is_open, coverage.gain * rate, -1.0)
        # Every row at the cut is taken along, so which rows are active never decides between equal ones.
        cut = float(torch.topk(score, min(ACTIVE_ROWS, len(score))).values[-1])
        with one_thread():
            is_covered = not _pick_among((score >= cut).nonzero().ravel(), cut, coverage, rate, tally)
        if is_covered:
            n_random = fill_at_random(tally, rng)
            return tally.picks(*notes, f"the pool is covered after {len(tally) - n_random} picks; the rest is random")
    return tally.picks(*notes)


def _pick_among(active: torch.Tensor, cut: float, coverage: _Coverage, rate: torch.Tensor, tally: Tally) -> bool:
    """Pick the best of ``active`` rows until it falls below ``cut``; False once there is nothing to gain."""
    rows, factor = active.cpu().numpy(), rate[active]
    is_open = torch.from_numpy(tally.open[rows]).to(active.device)
    while not tally.full:
        tally.checkpoint(coverage.state)
        score = torch.where(is_open, coverage.gain[active] * factor, -1.0)
        best = int(score.argmax())
        gain = float(coverage.gain[active[best]])
        if not tally.open[rows[best]] or gain <= LEAST_GAIN:
            return False
        if float(score[best]) < cut:
            return True
        closed = tally.take(int(rows[best]), gain)
        coverage.add(active[best])
        is_open[best] = False
        if len(closed) > 1:
            is_open = torch.from_numpy(tally.open[rows]).to(active.device)
    return True


class _Coverage:
    """How well each row is covered, and ``gain`` (n,): what each would still add."""

    def __init__(self, links: Links, weight: FloatArray, known: IntArray | State) -> None:
        """known: the labelled rows, or the state of a run that was cut short."""
        self._links = links
        self._weight = torch.from_numpy(np.asarray(weight, dtype=np.float64)).to(links.device)
        if isinstance(known, np.ndarray):
            self._covered, self.gain = self._cover_labelled(known), torch.zeros_like(self._weight)
            self._add_up_gains()
        else:
            self._covered, self.gain = (torch.tensor(known[k], device=links.device) for k in ("covered", "gain"))

    def state(self) -> State:
        return {"covered": self._covered.cpu().numpy(), "gain": self.gain.cpu().numpy()}

    def _cover_labelled(self, labelled: IntArray) -> torch.Tensor:
        covered = torch.zeros(self._links.n, dtype=torch.float32, device=self._links.device)
        for rows in torch.split(torch.as_tensor(labelled, dtype=torch.int64, device=covered.device), BLOCK_ROWS):
            edges = self._links.of(rows)
            covered.scatter_reduce_(0, edges.target, edges.kernel, "amax")
        return covered

    def _add_up_gains(self) -> None:
        for rows in torch.split(torch.arange(self._links.n, device=self._links.device), BLOCK_ROWS):
            edges = self._links.of(rows)
            adds = (edges.kernel - self._covered[edges.target]).clamp_(min=0.0) * self._weight[edges.target]
            self.gain.index_add_(0, rows[edges.owner], adds)

    def add(self, row: torch.Tensor) -> None:
        """Cover what ``row`` reaches, and lower the gain of every row that reaches some of it."""
        reach = self._links.of(row.view(1))
        better = reach.kernel > self._covered[reach.target]
        reached, new = reach.target[better], reach.kernel[better]
        old = self._covered[reached]
        self._covered[reached] = new
        self._lower_gains(self._links.of(reached), self._weight[reached], old, new)

    def _lower_gains(self, edges: Edges, weight: torch.Tensor, old: torch.Tensor, new: torch.Tensor) -> None:
        """Each neighbour j of a newly covered i loses weight_i * (max(k_ji - old_i, 0) - max(k_ji - new_i, 0))."""
        before = (edges.kernel - old[edges.owner]).clamp_(min=0.0)
        after = (edges.kernel - new[edges.owner]).clamp_(min=0.0)
        self.gain.index_add_(0, edges.target, -(before - after) * weight[edges.owner])
