"""Links against the dense symmetric matrix that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from activesel.index import knn_graph
from activesel.records import FloatArray, KnnGraph
from activesel.strategies import links as links_module
from activesel.strategies.links import Links
from tests.strategies.pools import unit


def dense(graph: KnnGraph) -> FloatArray:
    n = len(graph.neighbours)
    matrix = np.zeros((n, n), np.float32)
    for row in range(n):
        for near, cosine in zip(graph.neighbours[row], graph.similarity[row], strict=True):
            if near >= 0:
                matrix[row, near] = matrix[near, row] = max(cosine, 0)
    np.fill_diagonal(matrix, 1)
    return matrix


def as_matrix(links: Links, rows: FloatArray) -> FloatArray:
    edges = links.of(torch.as_tensor(rows))
    matrix = np.zeros((len(rows), links.n), np.float32)
    real = edges.kernel > 0
    at = (edges.owner[real].numpy(), edges.target[real].numpy())
    assert len(set(zip(*map(list, at), strict=True))) == len(at[0]), "an edge is there twice"
    matrix[at] = edges.kernel[real].numpy()
    return matrix


def positive(cosine: torch.Tensor) -> torch.Tensor:
    return cosine.clamp(min=0.0)


@pytest.mark.parametrize("block_rows", [7, 8192])
@pytest.mark.parametrize("kind", ["random", "copies", "zeros", "hub", "one"])
def test_links_are_the_symmetric_matrix(
    rng: np.random.Generator, kind: str, block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "BLOCK_ROWS", block_rows)
    vectors = unit(rng.normal(size=(60, 5)))
    if kind == "copies":
        vectors[10:40] = vectors[0]
    if kind == "zeros":
        vectors[:20] = 0
    if kind == "hub":  # one row that everybody lists and that lists a few
        vectors = unit(vectors + 3 * vectors[5])
    if kind == "one":
        vectors = vectors[:1]
    graph = knn_graph(vectors, 6)
    links = Links(graph, positive)
    every = np.arange(len(vectors))
    np.testing.assert_array_equal(as_matrix(links, every), dense(graph))
    some = every[::-1][:5].copy()
    np.testing.assert_array_equal(as_matrix(links, some), dense(graph)[some])


def test_a_missing_neighbour_is_no_edge() -> None:
    graph = KnnGraph(
        np.array([[1, -1], [2, -1], [-1, -1]], np.int32), np.array([[0.5, 0], [0.25, 0], [0, 0]], np.float32)
    )
    expected = np.array([[1, 0.5, 0], [0.5, 1, 0.25], [0, 0.25, 1]], np.float32)
    np.testing.assert_array_equal(as_matrix(Links(graph, positive), np.arange(3)), expected)
