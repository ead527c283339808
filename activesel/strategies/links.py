"""Who reaches whom, how strongly: a kNN graph's edges in both directions, without an n x n matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from activesel.records import KnnGraph

BLOCK_ROWS = 8192
ROUNDING = 1e-5  # of a similarity computed from either end

Kernel = Callable[[torch.Tensor], torch.Tensor]  # cosines -> 0..1, elementwise


@dataclass(frozen=True)
class Edges:
    """Edges of some rows. owner: (e,) position in those rows. target: (e,) row reached. kernel: (e,) 0..1, float32."""

    owner: torch.Tensor
    target: torch.Tensor
    kernel: torch.Tensor


class Links:
    """The symmetric kernel along the edges of a kNN graph, 1 from each row to itself, 0 where there is no edge.

    An edge counts in both directions even where only one end has the other among its k nearest, so that hubs reach all
    that they are near to. The graph's arrays are used as they are; kept beside them are the edges that the other end
    does not list, grouped by that end. Memory 8 bytes per such edge, a third of all edges or so.
    """

    def __init__(self, graph: KnnGraph, kernel: Kernel, device: str = "cpu") -> None:
        self._kernel = kernel
        self._neighbours = torch.from_numpy(graph.neighbours).to(device)
        self._similarity = torch.from_numpy(graph.similarity).to(device)
        self._starts, self._sources, self._source_kernel = self._reverse()

    @property
    def n(self) -> int:
        return len(self._neighbours)

    @property
    def device(self) -> torch.device:
        return self._neighbours.device

    def of(self, rows: torch.Tensor) -> Edges:
        """Return every edge of ``rows`` (r,) int64, the one to itself included; a kernel of 0 is no edge."""
        near, kernel = self._listed(rows)
        owner = torch.arange(len(rows), device=self.device)
        starts, counts = self._starts[rows], self._starts[rows + 1] - self._starts[rows]
        back_owner = torch.repeat_interleave(owner, counts)
        offset = torch.repeat_interleave(starts - counts.cumsum(0) + counts, counts)
        back = torch.arange(len(back_owner), device=self.device) + offset
        k = near.shape[1]
        return Edges(
            torch.cat((owner, owner.repeat_interleave(k), back_owner)),
            torch.cat((rows, near.ravel().long(), self._sources[back].long())),
            torch.cat((torch.ones(len(rows), device=self.device), kernel.ravel(), self._source_kernel[back])),
        )

    def _listed(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the (r, k) neighbours that ``rows`` list and the kernel to each, 0 where there is none."""
        near = self._neighbours.index_select(0, rows)
        kernel = torch.where(near >= 0, self._kernel(self._similarity.index_select(0, rows)), 0.0)
        return near.clamp(min=0), kernel

    def _reverse(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Group the edges that only one end lists by the other end: starts (n + 1,), sources (e,), kernel (e,).

        A counting sort in two passes over the graph, so nothing larger than the result is held.
        """
        one_way = torch.zeros(self._neighbours.shape, dtype=torch.bool, device=self.device)
        last = torch.where(self._neighbours[:, -1] >= 0, self._similarity[:, -1], -1.0)
        counts = torch.zeros(self.n + 1, dtype=torch.int64, device=self.device)
        for rows, near, kernel in self._listed_blocks():
            mask = one_way[rows[0] : rows[-1] + 1] = (kernel > 0) & ~self._is_listed_back(rows, near, last)
            targets = near[mask].long() + 1
            counts.index_add_(0, targets, torch.ones_like(targets))
        starts = counts.cumsum(0)
        sources = torch.empty(int(starts[-1]), dtype=torch.int32, device=self.device)
        kernels = torch.empty(len(sources), dtype=torch.float32, device=self.device)
        free = starts[:-1].clone()
        for rows, near, kernel in self._listed_blocks():
            mask = one_way[rows[0] : rows[-1] + 1]
            targets, order = near[mask].sort(stable=True)
            at = free[targets] + _rank_in_run(targets)
            sources[at], kernels[at] = rows.int()[mask.nonzero()[order, 0]], kernel[mask][order]
            free.index_add_(0, targets.long(), torch.ones_like(at))
        return starts, sources, kernels

    def _is_listed_back(self, rows: torch.Tensor, near: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Whether each neighbour (r, k) that ``rows`` list lists that row, too. last: (n,) the least cosine listed."""
        # A row less similar than the last that a neighbour lists is not in its list: half of all need no look.
        listed = self._similarity.index_select(0, rows) >= last[near] - ROUNDING
        at = listed.nonzero()[:, 0]
        theirs = self._neighbours.index_select(0, near[listed])
        listed[listed.clone()] = (theirs == rows[at, None].int()).any(dim=1)
        return listed

    def _listed_blocks(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for start in range(0, self.n, BLOCK_ROWS):
            rows = torch.arange(start, min(start + BLOCK_ROWS, self.n), device=self.device)
            yield rows, *self._listed(rows)


def _rank_in_run(values: torch.Tensor) -> torch.Tensor:
    """How many equal values come right before each one, (e,) sorted -> (e,): 5 5 7 7 7 -> 0 1 0 1 2."""
    at = torch.arange(len(values), device=values.device)
    begins = torch.ones(len(values), dtype=torch.bool, device=values.device)
    begins[1:] = values[1:] != values[:-1]
    return at - torch.where(begins, at, 0).cummax(0).values
