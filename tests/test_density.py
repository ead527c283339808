"""Density: the crowded part of the pool scores high, an outlier low."""

from __future__ import annotations

import math

import numpy as np
import pytest

from activesel.density import kernel_density, pool_density, score_density
from activesel.errors import DataError
from activesel.index import knn_graph
from activesel.records import KnnGraph

GRAPH = KnnGraph(np.array([[1, 2], [0, -1], [-1, -1]], np.int32), np.array([[1, 0], [0.5, 0], [0, 0]], np.float32))


def test_density_by_hand() -> None:
    assert score_density(GRAPH) == pytest.approx([0.75, 0.75, 0])


def test_kernel_density_by_hand() -> None:
    expected = [1 + 1 + math.exp(-4), 1 + math.exp(-2), 1]
    assert kernel_density(GRAPH, 0.5) == pytest.approx(expected)


def test_crowd_is_denser_than_outlier(rng: np.random.Generator) -> None:
    crowd = np.array([1, 0, 0, 0]) + 0.05 * rng.standard_normal((30, 4))
    vectors = np.vstack([crowd, [[0, 0, 0, 1]]]).astype(np.float32)
    graph = knn_graph(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 5)
    assert score_density(graph)[:30].min() > score_density(graph)[30]
    assert kernel_density(graph, 0.1)[:30].min() > kernel_density(graph, 0.1)[30]


def test_bandwidth_must_be_positive() -> None:
    with pytest.raises(DataError, match="bandwidth"):
        kernel_density(GRAPH, 0)


@pytest.mark.parametrize("n", [40, 3000])
def test_pool_density_is_the_kernel_sum(rng: np.random.Generator, n: int) -> None:
    """With as many reference rows as the pool has it is the plain sum; with fewer, an estimate of it."""
    vectors = rng.standard_normal((n, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    plain = np.exp(-np.maximum(2 - 2 * vectors @ vectors.T, 0) / 0.45).sum(axis=1)
    density = pool_density(vectors, knn_graph(vectors, 5), 0.45, rng)
    assert density == pytest.approx(plain, rel=0.02 if n <= 2048 else 0.2)
