"""How good a batch is, in plain code of its own: speed is compared at equal quality, ours and the peers' alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BLOCK_ROWS = 16384
BLOCK_CENTRES = 4096


def k_center_radius(vectors: Array, centres: Array, weight: Array | None = None) -> float:
    """Return the largest (weighted) distance of a row to its nearest centre, computed in fp32; lower = better."""
    distance = np.sqrt(np.maximum(2.0 - 2.0 * _nearest_cosine(vectors, centres), 0.0))
    distance[centres] = 0.0
    return float((distance if weight is None else weight * distance).max())


def graph_cover(neighbours: Array, kernel: Array, chosen: Array) -> float:
    """Return the mean over all rows of the largest kernel value to a chosen row along the graph; higher = better.

    neighbours: (n, k) rows, -1 = none. kernel: (n, k) value of each edge, which counts in both directions; 1 to itself.
    """
    n = len(neighbours)
    is_chosen = np.zeros(n + 1, dtype=bool)  # one more, which -1 points to
    is_chosen[chosen] = True
    best = np.where(is_chosen[neighbours], kernel, 0.0).max(axis=1).astype(np.float32)
    real = neighbours[chosen] >= 0
    np.maximum.at(best, neighbours[chosen][real], kernel[chosen][real])
    best[chosen] = 1.0
    return float(best.mean(dtype=np.float64))


def gaussian(similarity: Array, scale: float) -> Array:
    """exp(-|x - y|^2 / scale) from cosines of unit rows."""
    return np.exp(-np.maximum(2.0 - 2.0 * similarity, 0.0) / np.float32(scale)).astype(np.float32)


def badge_potential(vectors: Array, probs: Array, chosen: Array) -> float:
    """Return the sum over all rows of the squared distance of their gradient to the nearest chosen one; lower = better.

    The gradient is (p - onehot(argmax p)) x h, which k-means++ seeds on.
    """
    import torch

    q = probs.astype(np.float32)
    q[np.arange(len(q)), q.argmax(axis=1)] -= 1.0
    total = 0.0
    chosen_q, chosen_h = torch.from_numpy(q[chosen]), torch.from_numpy(vectors[chosen].astype(np.float32))
    chosen_norm = (chosen_q**2).sum(1) * (chosen_h**2).sum(1)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block_q = torch.from_numpy(q[start : start + BLOCK_ROWS])
        block_h = torch.from_numpy(vectors[start : start + BLOCK_ROWS].astype(np.float32))
        product = (block_q @ chosen_q.T).mul_(block_h @ chosen_h.T).mul_(-2.0).add_(chosen_norm).amin(dim=1)
        total += float((product + (block_q**2).sum(1) * (block_h**2).sum(1)).clamp_(min=0.0).sum())
    return total


def mean_score(score: Array, chosen: Array) -> float:
    """Return the mean score of the chosen rows; higher = better."""
    return float(score[chosen].mean(dtype=np.float64))


def margin_score(probs: Array) -> Array:
    """1 - (p1 - p2), higher = less sure."""
    top = np.partition(probs, -2, axis=1)
    return np.asarray(1.0 - (top[:, -1] - top[:, -2]), dtype=np.float32)


def entropy_score(probs: Array) -> Array:
    """Shannon entropy, higher = less sure."""
    return np.asarray(-(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=1), dtype=np.float32)


def recall_at_k(vectors: Array, neighbours: Array, n_queries: int = 500) -> float:
    """Return the share of listed neighbours at least as similar as the k-th exact one, over evenly spaced rows."""
    import torch

    k = neighbours.shape[1]
    rows = np.linspace(0, len(vectors) - 1, min(n_queries, len(vectors))).astype(np.int64)
    queries = torch.from_numpy(vectors[rows].astype(np.float32))
    best = torch.full((len(rows), k), -2.0)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = torch.from_numpy(vectors[start : start + BLOCK_ROWS].astype(np.float32))
        cosine = queries @ block.T
        inside = np.flatnonzero((rows >= start) & (rows < start + len(block)))
        cosine[inside, rows[inside] - start] = -2.0  # a row is not its own neighbour
        best = torch.cat([best, cosine], dim=1).topk(k, dim=1).values
    listed = torch.from_numpy(vectors[np.maximum(neighbours[rows], 0)].astype(np.float32))
    near = torch.einsum("qd,qkd->qk", queries, listed).numpy()
    found = (near >= best[:, -1:].numpy() - 1e-5) & (neighbours[rows] >= 0)
    return float(found.mean())


def _nearest_cosine(vectors: Array, centres: Array) -> Array:
    import torch

    best = np.full(len(vectors), -1.0, dtype=np.float32)
    for first in range(0, len(centres), BLOCK_CENTRES):
        anchors = torch.from_numpy(vectors[centres[first : first + BLOCK_CENTRES]].astype(np.float32)).T
        for start in range(0, len(vectors), BLOCK_ROWS):
            block = torch.from_numpy(np.asarray(vectors[start : start + BLOCK_ROWS], dtype=np.float32))
            near = (block @ anchors).amax(dim=1).numpy()
            here = best[start : start + len(near)]
            np.maximum(here, near, out=here)
    return best


# What each strategy is judged by, ours and its peers: (name, better, value of (pool, chosen with the labelled, picks)).
Judge = tuple[str, str, Callable[[Any, Array, Array], float]]
RADIUS: Judge = ("radius", "lower", lambda pool, known, _: k_center_radius(pool.vectors, known))
WEIGHTED_RADIUS: Judge = (
    "weighted radius", "lower", lambda pool, known, _: k_center_radius(pool.vectors, known, margin_score(pool.probs))
)  # fmt: skip
FACILITY: Judge = (
    "facility location", "higher",
    lambda pool, known, _: graph_cover(pool.neighbours, np.maximum(pool.similarity, 0.0), known),
)  # fmt: skip
HERDING: Judge = (
    "herding", "higher", lambda pool, known, _: graph_cover(pool.neighbours, gaussian(pool.similarity, 1.0), known)
)  # fmt: skip
MARGIN: Judge = ("mean margin score", "higher", lambda pool, _, rows: mean_score(margin_score(pool.probs), rows))
ENTROPY: Judge = ("mean entropy", "higher", lambda pool, _, rows: mean_score(entropy_score(pool.probs), rows))
POTENTIAL: Judge = ("potential", "lower", lambda pool, _, rows: badge_potential(pool.vectors, pool.probs, rows))

JUDGES: dict[str, Judge] = {
    "k-center": RADIUS, "weighted-k-center": WEIGHTED_RADIUS, "margin": MARGIN, "entropy": ENTROPY,
    "least-confidence": MARGIN, "badge": POTENTIAL, "max-herding": HERDING, "uncertainty-herding": HERDING,
}  # fmt: skip


def judge_of(strategy: str) -> Judge:
    """Return what a strategy is judged by; facility location on the graph where it has no measure of its own."""
    return JUDGES.get(strategy, FACILITY)


def needs_graph(strategy: str) -> bool:
    """Whether the strategy's picks cannot be judged without a kNN graph."""
    return judge_of(strategy) in (FACILITY, HERDING)
