"""Pools made in code for the strategy tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from activesel.index import knn_graph
from activesel.records import FloatArray, Picks, Pool
from activesel.strategies import find_strategy
from activesel.uncertainty import score_margin


def unit(rows: FloatArray) -> FloatArray:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1), dtype=np.float32)


def make_pool(
    n: int = 200, d: int = 16, *, n_clusters: int = 8, n_classes: int = 4, n_labelled: int = 10, k: int = 10,
    seed: int = 0, **fields: Any,
) -> Pool:  # fmt: skip
    """A pool of gaussian clusters with probabilities that follow the clusters, everything a strategy may need."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, d))
    vectors = unit(centres[rng.integers(n_clusters, size=n)] + 0.3 * rng.normal(size=(n, d)))
    return as_pool(vectors, n_classes=n_classes, n_labelled=n_labelled, k=k, seed=seed, **fields)


def as_pool(
    vectors: FloatArray, *, n_classes: int = 4, n_labelled: int = 0, k: int = 10, seed: int = 0, **fields: Any
) -> Pool:
    """Wrap vectors with labels, probabilities and a graph drawn from ``seed``."""
    rng = np.random.default_rng(seed + 1)
    n = len(vectors)
    logits = np.asarray(vectors, np.float32) @ rng.normal(size=(vectors.shape[1], n_classes)) * 2
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = np.asarray(probs / probs.sum(axis=1, keepdims=True), dtype=np.float32)
    labelled = np.sort(rng.choice(n, size=n_labelled, replace=False))
    defaults: dict[str, Any] = {
        "labelled": labelled,
        "classes": rng.integers(n_classes, size=n_labelled),
        "candidates": np.ones(n, bool),
        "probs": probs,
        "mutual_information": rng.random(n).astype(np.float32),
        "uncertainty": score_margin(probs),
        "graph": knn_graph(vectors, min(k, n - 1)) if n > 1 else knn_graph(vectors, 1),
        "exemplars": vectors[:2],
    }
    return Pool(vectors, **(defaults | fields))


def run(name: str, pool: Pool, budget: float, seed: int = 0, **options: Any) -> Picks:
    return find_strategy(name).run(pool, budget, np.random.default_rng(seed), **options)
