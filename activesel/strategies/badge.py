"""BADGE: batches that are unsure and diverse at once, sampled in gradient space without ever building the gradients."""

from __future__ import annotations

import numpy as np
import torch

from activesel.records import Picks, Pool
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally, fill_at_random


@strategy("badge", needs=("probs",), gain="its squared distance in gradient space to the picks before it")
def pick_badge(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick images whose labels would move the model most, in different directions.

    BADGE (Ash et al. 2020, arXiv:1906.03671): k-means++ seeding over g = (p - onehot(argmax p)) x h. Factorised as
    |g_i - g_j|^2 = |g_i|^2 + |g_j|^2 - 2 (q_i . q_j)(h_i . h_j), so memory is O(n (c + d)) and never O(n c d), and a
    pick costs one pass over the vectors. The first pick is the longest gradient. No other centre exists: a centre at
    the origin, as in a known peer, would favour long gradients for ever.
    """
    gradients = _Gradients(pool)
    tally = Tally(pool, budget)
    if tally.full:
        return tally.picks()
    rate = torch.from_numpy(tally.rate)
    row = int(torch.where(torch.from_numpy(tally.open), gradients.squared_norm * rate, -1.0).argmax())
    nearest = torch.full((pool.n,), torch.inf)
    gain = float(gradients.squared_norm[row])
    while True:
        tally.take(row, gain)
        if tally.full:
            return tally.picks()
        nearest = torch.minimum(nearest, gradients.squared_distance(row))
        chance = torch.where(torch.from_numpy(tally.open), nearest * rate, 0.0)
        drawn = _draw(chance.numpy(), rng)
        if drawn is None:
            n_random = fill_at_random(tally, rng)
            return tally.picks(f"{n_random} picks are random: all other gradients equal a pick's")
        row, gain = drawn, float(nearest[drawn])


class _Gradients:
    """The last layer's gradients of every row, factorised into q (n, c) and h (n, d)."""

    def __init__(self, pool: Pool) -> None:
        assert pool.probs is not None
        probs = np.array(pool.probs, dtype=np.float32)
        probs[np.arange(pool.n), probs.argmax(axis=1)] -= 1.0
        self._q = torch.from_numpy(probs)
        self._h = torch.from_numpy(np.ascontiguousarray(pool.vectors, dtype=np.float32))
        self.squared_norm = (self._q**2).sum(dim=1) * (self._h**2).sum(dim=1)

    def squared_distance(self, row: int) -> torch.Tensor:
        product = (self._q @ self._q[row]) * (self._h @ self._h[row])
        distance = (self.squared_norm + self.squared_norm[row] - 2.0 * product).clamp_(min=0.0)
        # What is left of equal gradients is rounding: it must not be drawn.
        distance[distance < 1e-6 * self.squared_norm[row]] = 0.0
        return distance


def _draw(chance: np.ndarray[tuple[int], np.dtype[np.float32]], rng: np.random.Generator) -> int | None:
    """Draw a row in proportion to ``chance`` by inverse CDF in float64; None when all chances are 0."""
    total = np.cumsum(chance, dtype=np.float64)
    if total[-1] <= 0.0:
        return None
    drawn = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    return min(drawn, int(np.flatnonzero(chance)[-1]))
