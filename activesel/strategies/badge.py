"""BADGE: batches that are unsure and diverse at once, sampled in gradient space without ever building the gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.records import Picks, Pool
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally, fill_at_random
from activesel.tensors import to_tensor

PROPOSALS = 1024  # drawn at a time; their gradients stay in the cache
BLOCK_ROWS = 8192
LEAST_ACCEPTED = 0.25  # below this share of accepted proposals the bounds are made exact again


@strategy("badge", needs=("probs",), lead="its label would move the model in a new direction")
def pick_badge(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick images whose labels would move the model most, in different directions.

    BADGE (Ash et al. 2020, arXiv:1906.03671): k-means++ seeding over g = (p - onehot(argmax p)) x h. Factorised as
    |g_i - g_j|^2 = |g_i|^2 + |g_j|^2 - 2 (q_i . q_j)(h_i . h_j), so memory is O(n (c + d)) and never O(n c d). Sampling
    is exact but lazy: an old squared distance is an upper bound, so a row is proposed in proportion to it and accepted
    with probability new / old. The first pick is the longest gradient. No other centre exists: a centre at the origin,
    as in a known peer, would favour long gradients for ever.
    """
    gradients = _Gradients(pool)
    tally = Tally(pool, budget)
    if tally.full:
        return tally.picks()
    rate = torch.from_numpy(tally.rate)
    first = int(torch.where(torch.from_numpy(tally.open), gradients.squared_norm * rate, -1.0).argmax())
    tally.take(first, float(gradients.squared_norm[first]))
    nearest = torch.full((pool.n,), torch.inf)
    centres = [first]
    while not tally.full:
        gradients.lower(nearest, torch.tensor(centres))
        chance = torch.where(torch.from_numpy(tally.open), nearest * rate, 0.0).numpy()
        proposals = _draw(chance, rng)
        if proposals is None:
            n_random = fill_at_random(tally, rng)
            return tally.picks(f"{n_random} picks are random: all other gradients equal a pick's")
        centres = _take_accepted(tally, gradients, proposals, nearest, rng)
    return tally.picks()


def _take_accepted(
    tally: Tally,
    gradients: _Gradients,
    proposals: npt.NDArray[np.int64],
    nearest: torch.Tensor,
    rng: np.random.Generator,
) -> list[int]:
    """Go through the proposals, accept each with probability exact / bound, and return the accepted rows."""
    rows = torch.from_numpy(proposals)
    part = gradients.at(rows)
    bound = nearest[rows]
    exact = bound.clone()
    luck = torch.from_numpy(rng.random(len(proposals), dtype=np.float32))
    accepted: list[int] = []
    for i, row in enumerate(proposals):
        if i >= 32 and len(accepted) < LEAST_ACCEPTED * i:
            break
        if tally.open[row] and exact[i] > 0 and luck[i] * bound[i] < exact[i]:
            tally.take(int(row), float(exact[i]))
            accepted.append(int(row))
            if tally.full:
                break
            exact = torch.minimum(exact, part.squared_distance(gradients.at(rows[i : i + 1]))[:, 0])
    return accepted


class _Gradients:
    """The last layer's gradients of some rows, factorised into q (r, c) and h (r, d)."""

    def __init__(self, pool: Pool) -> None:
        assert pool.probs is not None
        probs = np.array(pool.probs, dtype=np.float32)
        probs[np.arange(pool.n), probs.argmax(axis=1)] -= 1.0
        self._set(torch.from_numpy(probs), to_tensor(pool.vectors))

    def _set(self, q: torch.Tensor, h: torch.Tensor) -> None:
        self._q, self._h = q, h
        self.squared_norm = (q**2).sum(dim=1) * (h**2).sum(dim=1)

    def at(self, rows: torch.Tensor | slice) -> _Gradients:
        part = object.__new__(_Gradients)
        part._set(self._q[rows], self._h[rows])
        return part

    def squared_distance(self, others: _Gradients) -> torch.Tensor:
        """(r, others) squared distances; what rounding leaves of equal gradients is 0, so it is never drawn."""
        product = (self._q @ others._q.T).mul_(self._h @ others._h.T)
        norms = self.squared_norm[:, None] + others.squared_norm[None, :]
        distance = norms - 2.0 * product
        return torch.where(distance < 1e-6 * norms, 0.0, distance)

    def lower(self, nearest: torch.Tensor, centres: torch.Tensor) -> None:
        """Lower each row's squared distance to its nearest centre by new centres, block by block, in place."""
        new = self.at(centres)
        for start in range(0, len(nearest), BLOCK_ROWS):
            block = slice(start, min(start + BLOCK_ROWS, len(nearest)))
            nearest[block] = torch.minimum(nearest[block], self.at(block).squared_distance(new).amin(dim=1))


def _draw(chance: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.int64] | None:
    """Draw PROPOSALS rows in proportion to ``chance`` by inverse CDF in float64; None when all chances are 0."""
    total = np.cumsum(chance, dtype=np.float64)
    if total[-1] <= 0.0:
        return None
    drawn = np.searchsorted(total, rng.random(PROPOSALS) * total[-1], side="right")
    return np.asarray(np.minimum(drawn, np.flatnonzero(chance)[-1]), dtype=np.int64)
