"""Find more of a rare class from a few examples of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import Picks, Pool
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally

Floats = npt.NDArray[np.float32]


@strategy("exemplars", needs=("exemplars",), lead="like an exemplar")
def pick_like_exemplars(pool: Pool, budget: float, rng: np.random.Generator, *, relevance: float = 1.0) -> Picks:  # noqa: ARG001
    """Pick images like the given examples, spread over all of them.

    Facility-location mutual information, FLQMI (Kothawade et al. 2021, arXiv:2107.00717):
    sum over exemplars of their best pick's similarity + relevance * sum over picks of their best exemplar's similarity.
    Memory and time O(n q). Similarity is (1 + cosine) / 2.
    """
    assert pool.exemplars is not None
    similarity = _similarity(pool)
    best_exemplar = similarity.max(axis=1)
    tally = Tally(pool, budget)
    served = np.zeros(similarity.shape[1], dtype=np.float32)
    # Stale gains only shrink, so a row is re-evaluated only when it reaches the top (lazy greedy, Minoux 1978).
    gain = similarity.sum(axis=1) + relevance * best_exemplar
    gain[~tally.open] = -np.inf
    while not tally.full:
        row = _lazy_best(gain, similarity, served, relevance * best_exemplar, tally.rate)
        closed = tally.take(row, float(gain[row]))
        served = np.maximum(served, similarity[row])
        gain[closed] = -np.inf
    return tally.picks()


def _similarity(pool: Pool) -> Floats:
    assert pool.exemplars is not None
    queries = np.asarray(pool.exemplars, dtype=np.float32).T
    blocks = [np.asarray(pool.vectors[start : start + 16384], dtype=np.float32) @ queries
              for start in range(0, pool.n, 16384)]  # fmt: skip
    return np.asarray((1.0 + np.concatenate(blocks)) / 2.0, dtype=np.float32)


def _lazy_best(
    gain: Floats,
    similarity: Floats,
    served: Floats,
    relevance: Floats,
    rate: Floats,
    block: int = 256,
) -> int:
    """Refresh the largest stale gains, a block at a time, until the best of them beats every stale bound."""
    size = min(block, len(gain))
    while True:
        bound = gain * rate
        order = np.argpartition(-bound, min(size, len(gain) - 1))
        outside = bound[order[size]] if size < len(gain) else -np.inf
        top = order[:size][np.isfinite(gain[order[:size]])]
        gain[top] = np.maximum(similarity[top] - served, 0.0).sum(axis=1) + relevance[top]
        fresh = gain[top] * rate[top]
        best = fresh.max()
        if best >= outside:
            return int(top[fresh == best].min())
        size = min(2 * size, len(gain))
