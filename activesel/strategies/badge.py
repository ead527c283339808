"""BADGE: batches that are unsure and diverse at once, sampled in gradient space without ever building the gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from activesel.journal import State, pack_generator, restore_generator
from activesel.records import IntArray, Picks, Pool
from activesel.strategies.cost import Cost
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally, fill_at_random
from activesel.tensors import Rows, rough_error

PROPOSALS = 1024  # drawn at a time, fewer near the end; their gradients' distances to each other are known
BLOCK_ROWS = 4096
BLOCK_CENTRES = 512  # products of a block with these stay in the cache
ROUGH_FROM = 32  # new centres; with fewer, turning the pool into bfloat16 costs more than it saves
LEAST_ACCEPTED = 0.25  # below this share of accepted proposals the bounds are lowered again


@strategy(
    "badge", needs=("probs",), lead="its label would move the model in a new direction", in_parts="whole",
    cost=Cost(per_class=8, block=240e6, block_per_dim=8 * BLOCK_ROWS, products="picks", pick_us=200),
)  # fmt: skip
def pick_badge(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick images whose labels would move the model most, in different directions.

    BADGE (Ash et al. 2020, arXiv:1906.03671): k-means++ seeding over g = (p - onehot(argmax p)) x h. Factorised as
    |g_i - g_j|^2 = |g_i|^2 + |g_j|^2 - 2 (q_i . q_j)(h_i . h_j), so memory is O(n (c + d)) and never O(n c d). Sampling
    is exact but lazy: an upper bound of each squared distance is kept, so a row is proposed in proportion to its bound
    and accepted with probability exact / bound. The first pick is the longest gradient. No other centre exists: a
    centre at the origin, as in a known peer, would favour long gradients for ever.
    """
    gradients = _Gradients(pool)
    tally = Tally(pool, budget)
    rate = torch.from_numpy(tally.rate)
    state = tally.resume()
    if state is not None:
        restore_generator(rng, state["generator"])
        bound, n_met = torch.tensor(state["bound"]), int(state["n_met"][0])
    elif not tally.full:
        first = int(torch.where(torch.from_numpy(tally.open), gradients.squared_norm * rate, -1.0).argmax())
        tally.take(first, float(gradients.squared_norm[first]))
        bound, n_met = torch.full((pool.n,), torch.inf), 0
    while not tally.full:
        tally.checkpoint(lambda: _state(bound, n_met, rng))  # noqa: B023 - called at once
        gradients.lower(bound, tally.rows[n_met:])
        n_met = len(tally)
        chance = torch.where(torch.from_numpy(tally.open), bound * rate, 0.0).numpy()
        n_left = pool.n if pool.cost is not None else int(tally.budget) - len(tally)
        proposals = _draw(chance, min(PROPOSALS, 32 + 4 * n_left), rng)
        if proposals is None:
            n_random = fill_at_random(tally, rng)
            return tally.picks(f"{n_random} picks are random: all other gradients equal a pick's")
        _take_accepted(tally, gradients, proposals, bound, rng)
        if len(tally) == n_met:
            gradients.lower(bound, tally.rows, exactly=True)
    return tally.picks()


def _state(bound: torch.Tensor, n_met: int, rng: np.random.Generator) -> State:
    return {"bound": bound.numpy(), "n_met": np.array([n_met]), "generator": pack_generator(rng)}


def _take_accepted(
    tally: Tally, gradients: _Gradients, proposals: IntArray, bound: torch.Tensor, rng: np.random.Generator
) -> None:
    """Go through the proposals and accept each with probability exact / bound."""
    part = gradients.of(proposals)
    exact = torch.minimum(bound[proposals], gradients.nearest(part, tally.rows)).numpy()
    between = part.squared_distance(part).cpu().numpy()
    at_most = bound[proposals].numpy()
    luck = rng.random(len(proposals), dtype=np.float32)
    n_accepted = 0
    for i, row in enumerate(proposals):
        if tally.full or (i >= 32 and n_accepted < LEAST_ACCEPTED * i):
            break
        if tally.open[row] and exact[i] > 0 and luck[i] * at_most[i] < exact[i]:
            tally.take(int(row), float(exact[i]))
            n_accepted += 1
            np.minimum(exact, between[i], out=exact)
    bound[proposals] = torch.from_numpy(exact)


@dataclass(frozen=True)
class _Part:
    """The last layer's gradients of some rows, factorised: q (r, c), h (r, d), squared_norm (r,)."""

    q: torch.Tensor
    h: torch.Tensor
    squared_norm: torch.Tensor

    def squared_distance(self, others: _Part) -> torch.Tensor:
        """(r, others) squared distances; what rounding leaves of equal gradients is 0, so it is never drawn."""
        product = (self.q @ others.q.T).mul_(self.h @ others.h.T)
        norms = self.squared_norm[:, None] + others.squared_norm[None, :]
        distance = norms - 2.0 * product
        return torch.where(distance < 1e-6 * norms, 0.0, distance)

    def rough_bound(self, others: _Part) -> torch.Tensor:
        """(r,) no less than the squared distance to the nearest of ``others``; both h rough."""
        longest = float(others.q.norm(dim=1).max())
        nearest: torch.Tensor = torch.full((len(self.q),), torch.inf, device=self.q.device)
        for start in range(0, len(others.q), BLOCK_CENTRES):
            some = slice(start, start + BLOCK_CENTRES)
            product = (self.q @ (-2.0 * others.q[some]).T).mul_(self.h @ others.h[some].T)
            nearest = torch.minimum(nearest, product.add_(others.squared_norm[some]).amin(dim=1))
        reserve: torch.Tensor = 2.0 * rough_error(self.h.dtype) * longest * self.q.norm(dim=1)
        return (self.squared_norm + nearest + reserve).clamp_(min=0.0)


class _Gradients:
    """The gradients of the whole pool, factorised; distances to them in blocks."""

    def __init__(self, pool: Pool) -> None:
        assert pool.probs is not None
        probs = np.array(pool.probs, dtype=np.float32)
        probs[np.arange(pool.n), probs.argmax(axis=1)] -= 1.0
        self._rows = Rows(pool.vectors, pool.device)
        self._q = torch.from_numpy(probs).to(self._rows.device)
        lengths = [self._rows.exact(block).norm(dim=1) for block in self._rows.blocks(BLOCK_ROWS)]
        self._squared_norm = (self._q.norm(dim=1) * torch.cat(lengths)).square_()

    @property
    def squared_norm(self) -> torch.Tensor:
        on_cpu: torch.Tensor = self._squared_norm.cpu()
        return on_cpu

    def of(self, rows: slice | IntArray, *, rough: bool = False) -> _Part:
        vectors = self._rows.rough(rows) if rough else self._rows.exact(rows)
        at = rows if isinstance(rows, slice) else torch.as_tensor(rows, device=self._rows.device)
        return _Part(self._q[at], vectors, self._squared_norm[at])

    def nearest(self, part: _Part, centres: IntArray) -> torch.Tensor:
        """Return the exact squared distance of each row of ``part`` to its nearest centre, on the CPU."""
        nearest = torch.full_like(part.squared_norm, torch.inf)
        for some in np.array_split(centres, -(-len(centres) // BLOCK_CENTRES)):
            nearest = torch.minimum(nearest, part.squared_distance(self.of(some)).amin(dim=1))
        return nearest.cpu()

    def lower(self, bound: torch.Tensor, centres: npt.NDArray[np.int64], *, exactly: bool = False) -> None:
        """Lower each row's bound by new centres, block by block, in place."""
        rough = len(centres) >= ROUGH_FROM and not exactly
        new = self.of(centres, rough=rough)
        for block in self._rows.blocks(BLOCK_ROWS):
            part = self.of(block, rough=rough)
            nearest = part.rough_bound(new).cpu() if rough else self.nearest(part, centres)
            bound[block] = torch.minimum(bound[block], nearest)


def _draw(chance: npt.NDArray[np.float32], n_rows: int, rng: np.random.Generator) -> npt.NDArray[np.int64] | None:
    """Draw rows in proportion to ``chance`` by inverse CDF in float64; None when all chances are 0."""
    total = np.cumsum(chance, dtype=np.float64)
    if total[-1] <= 0.0:
        return None
    drawn = np.searchsorted(total, rng.random(n_rows) * total[-1], side="right")
    return np.asarray(np.minimum(drawn, np.flatnonzero(chance)[-1]), dtype=np.int64)
