"""Find more of a rare class from a few examples of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import IntArray, Picks, Pool
from activesel.strategies.cost import Cost
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally
from activesel.tensors import Rows

Floats = npt.NDArray[np.float32]
ACTIVE_ROWS = 4096  # rows with the largest gains, kept exact at a time


@strategy(
    "exemplars",
    needs=("exemplars",),
    lead="like an exemplar",
    cost=Cost(per_exemplar=6, products="exemplars", row_ns=7000),
)
def pick_like_exemplars(pool: Pool, budget: float, rng: np.random.Generator, *, relevance: float = 1.0) -> Picks:  # noqa: ARG001
    """Pick images like the given examples, spread over all of them.

    Facility-location mutual information, FLQMI (Kothawade et al. 2021, arXiv:2107.00717):
    sum over exemplars of their best pick's similarity + relevance * sum over picks of their best exemplar's similarity.
    Memory and time O(n q). Similarity is (1 + cosine) / 2.
    """
    assert pool.exemplars is not None
    similarity = _similarity(pool)
    tally = Tally(pool, budget)
    state = tally.resume()
    served = np.zeros(similarity.shape[1], dtype=np.float32) if state is None else state["served"].copy()
    relevant = relevance * similarity.max(axis=1)
    gain = similarity.sum(axis=1) + relevant if state is None else state["gain"].copy()
    while not tally.full:
        # Stale gains only shrink, so a row is looked at again only when it is among the largest (Minoux 1978).
        score = np.where(tally.open, gain * tally.rate, -np.inf)
        size = min(ACTIVE_ROWS, len(score))
        cut = np.partition(score, -size)[-size]
        active = np.flatnonzero(tally.open & (score >= cut))
        _pick_among(active, cut, tally, _Served(similarity, relevant, gain, served))
    return tally.picks()


@dataclass(frozen=True)
class _Served:
    """similarity: (n, q). relevant: (n,). gain: (n,) upper bounds and served: (q,) each exemplar's best pick change."""

    similarity: Floats
    relevant: Floats
    gain: Floats
    served: Floats


def _pick_among(active: IntArray, cut: float, tally: Tally, state: _Served) -> None:
    """Pick the best of ``active`` rows, equal ones by row number, until it falls below ``cut``."""
    near, relevant, rate = state.similarity[active], state.relevant[active], tally.rate[active]
    while not tally.full:
        state.gain[active] = np.maximum(near - state.served, 0.0).sum(axis=1) + relevant
        tally.checkpoint(lambda: {"gain": state.gain, "served": state.served})
        score = np.where(tally.open[active], state.gain[active] * rate, -np.inf)
        best = int(score.argmax())
        if score[best] < cut or not tally.open[active[best]]:
            return
        tally.take(int(active[best]), float(state.gain[active[best]]))
        np.maximum(state.served, near[best], out=state.served)


def _similarity(pool: Pool) -> Floats:
    """(1 + cosine) / 2 of every row to every exemplar, (n, q)."""
    assert pool.exemplars is not None
    rows = Rows(pool.vectors, pool.device)
    queries = Rows(pool.exemplars, pool.device).exact(slice(None)).T
    similarity = np.empty((pool.n, queries.shape[1]), dtype=np.float32)
    for block in rows.blocks():
        similarity[block] = (rows.exact(block) @ queries).add_(1.0).mul_(0.5).cpu().numpy()
    return similarity
