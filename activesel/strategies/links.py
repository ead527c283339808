"""Who reaches whom, how strongly: a kNN graph's edges in both directions, without an n x n matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from activesel.records import KnnGraph

BLOCK_ROWS = 8192

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
        """Group the edges that only one end lists by the other end: starts (n + 1,), sources (e,), kernel (e,)."""
        found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for start in range(0, self.n, BLOCK_ROWS):
            rows = torch.arange(start, min(start + BLOCK_ROWS, self.n), device=self.device)
            near, kernel = self._listed(rows)
            theirs = self._neighbours.index_select(0, near.ravel()).view(*near.shape, -1)
            listed_back = (theirs == rows[:, None, None].int()).any(dim=2)
            one_way = (kernel > 0) & ~listed_back
            at = one_way.nonzero()[:, 0]
            found.append((near[one_way], rows[at].int(), kernel[one_way]))
        targets, sources, kernels = (torch.cat(part) for part in zip(*found, strict=True))
        counts = torch.bincount(targets, minlength=self.n)
        starts = torch.cat((torch.zeros(1, dtype=torch.int64, device=self.device), counts.cumsum(0)))
        order = torch.argsort(targets, stable=True)
        return starts, sources[order], kernels[order]
