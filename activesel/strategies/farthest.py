"""k-center: pick the image farthest from everything known or picked, plain or weighted by uncertainty."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.records import FloatArray, IntArray, Picks, Pool
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally
from activesel.tensors import to_tensor

ACTIVE_ROWS = 4096  # rows kept exact at a time: 4 MB at d = 256, stays in the cache
BLOCK_ROWS = 16384


@strategy("k-center", lead="far from every known image")
def pick_farthest(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick the image farthest from all labelled and picked ones, again and again.

    Greedy k-center (Gonzalez 1985; Sener & Savarese 2018, arXiv:1708.00489): the largest remaining distance is at most
    twice the smallest possible. Exact greedy; time far below O((m + b) n d) thanks to lazy bounds, memory O(n).
    """
    return _farthest_first(pool, budget, rng, np.ones(pool.n, dtype=np.float32))


@strategy("weighted-k-center", uses=("uncertainty",), lead="far from every known image, and unsure")
def pick_farthest_unsure(pool: Pool, budget: float, rng: np.random.Generator, *, trust: float = 1.0) -> Picks:
    """Pick images far from everything known, unsure ones first.

    Distances are multiplied by uncertainty ** trust (after Ramalingam et al. 2023, arXiv:2312.10602).
    trust: 0 ignores the model, 1 believes it fully.
    """
    weight = np.ones(pool.n) if pool.uncertainty is None else np.maximum(pool.uncertainty, 1e-6) ** trust
    return _farthest_first(pool, budget, rng, np.asarray(weight, dtype=np.float32))


def _farthest_first(pool: Pool, budget: float, rng: np.random.Generator, weight: npt.NDArray[np.float32]) -> Picks:
    """Exact greedy with lazy bounds: a distance computed once can only shrink, so an old one is an upper bound.

    Keep the rows with the largest bounds exact, pick among them while their best beats every bound outside, refresh.
    """
    tally = Tally(pool, budget)
    weight = weight * tally.rate
    reach = _Reach(pool)
    if len(pool.labelled) == 0 and not tally.full:
        first = _first_row(tally, weight, rng)
        tally.take(first, float("inf"))
        reach.add_centre(first)
    while not tally.full:
        _pick_from_active(tally, reach, weight)
    return tally.picks()


def _first_row(tally: Tally, weight: npt.NDArray[np.float32], rng: np.random.Generator) -> int:
    """Nothing is known yet: any row among the heaviest."""
    heaviest = weight[tally.open].max()
    return int(rng.choice(np.flatnonzero(tally.open & (weight >= heaviest))))


def _pick_from_active(tally: Tally, reach: _Reach, weight: npt.NDArray[np.float32]) -> None:
    """Make exact the rows with the largest bounds and pick among them while they certainly hold the maximum."""
    score = np.where(tally.open, weight * reach.bound, -1.0)
    active, outside = _split_top(score)
    reach.catch_up(active)
    vectors = reach.block(active)
    distance = torch.from_numpy(reach.bound[active])
    factor = torch.from_numpy(weight[active])
    alive = torch.from_numpy(tally.open[active])
    while not tally.full:
        exact = torch.where(alive, factor * distance, -1.0)
        best = int(exact.argmax())
        if exact[best] < outside or not alive[best]:
            break
        row = int(active[best])
        tally.take(row, float(distance[best]))
        reach.add_centre(row)
        distance = torch.minimum(distance, _distance(vectors, vectors[best : best + 1])[:, 0])
        alive = torch.from_numpy(tally.open[active])
    reach.settle(active, distance.numpy())


def _split_top(score: FloatArray) -> tuple[IntArray, float]:
    """Return the ACTIVE_ROWS rows with the largest scores in row order, and the largest score among the others."""
    if len(score) <= ACTIVE_ROWS:
        return np.arange(len(score)), -1.0
    cut = np.argpartition(-score, ACTIVE_ROWS)
    return np.sort(cut[:ACTIVE_ROWS]), float(score[cut[ACTIVE_ROWS]])


class _Reach:
    """Upper bounds of each row's distance to its nearest centre (labelled or picked), and how stale each is."""

    def __init__(self, pool: Pool) -> None:
        self._vectors = pool.vectors
        self._centres: list[int] = []
        self._seen = np.zeros(pool.n, dtype=np.int32)  # how many picked centres each bound has met
        self.bound = np.full(pool.n, np.float32(2.0))  # the diameter of the unit sphere
        if len(pool.labelled):
            self._meet_labelled(pool.labelled)

    def block(self, rows: IntArray) -> torch.Tensor:
        return to_tensor(self._vectors[rows])

    def add_centre(self, row: int) -> None:
        self._centres.append(row)

    def catch_up(self, rows: IntArray) -> None:
        """Make the bounds of ``rows`` exact: one matrix product with all centres that any of them has not met."""
        pending = np.array(self._centres[int(self._seen[rows].min()) :], dtype=np.int64)
        if len(pending):
            nearest = _distance(self.block(rows), self.block(pending)).amin(dim=1).numpy()
            self.bound[rows] = np.minimum(self.bound[rows], nearest)
        self._seen[rows] = len(self._centres)

    def settle(self, rows: IntArray, distance: npt.NDArray[np.float32]) -> None:
        """Store exact distances of ``rows`` to all centres so far."""
        self.bound[rows] = distance
        self._seen[rows] = len(self._centres)

    def _meet_labelled(self, labelled: IntArray) -> None:
        known = self.block(labelled)
        for start in range(0, len(self.bound), BLOCK_ROWS):
            rows = self.block(np.arange(start, min(start + BLOCK_ROWS, len(self.bound))))
            for chunk in torch.split(known, 4096):
                near = _distance(rows, chunk).amin(dim=1).numpy()
                here = self.bound[start : start + len(near)]
                np.minimum(here, near, out=here)


def _distance(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Euclidean distances between unit rows: (a, d), (b, d) -> (a, b)."""
    return (2.0 - 2.0 * (left @ right.T)).clamp_(min=0.0).sqrt_()
