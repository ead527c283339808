"""The judges of the benchmark against the plain few lines, with ties, exact duplicates and rows of zeros."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bench.gpu_graph import brute_force_graph
from bench.pool import PoolSpec, make_pool, read_pool, write_pool
from bench.quality import (
    badge_potential,
    entropy_score,
    graph_cover,
    judge_of,
    k_center_radius,
    margin_score,
    recall_at_k,
)


@pytest.fixture
def vectors(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    rows = rng.normal(size=(300, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[10:14] = rows[3]
    rows[20] = 0.0
    return rows


def test_radius_by_hand() -> None:
    corners = np.array([[1, 0], [0, 1], [-1, 0], [1, 0]], np.float16)
    assert k_center_radius(corners, np.array([0])) == pytest.approx(2.0)
    assert k_center_radius(corners, np.array([0, 2])) == pytest.approx(np.sqrt(2))
    assert k_center_radius(corners, np.array([0, 1, 2])) == 0.0
    weight = np.array([1, 1, 0.25, 1])
    assert k_center_radius(corners, np.array([0]), weight) == pytest.approx(np.sqrt(2))


def test_radius_equals_all_distances(vectors: npt.NDArray[np.float32]) -> None:
    centres = np.array([3, 50, 299])
    squared = np.maximum(2 - 2 * vectors @ vectors[centres].T, 0).min(axis=1)
    squared[centres] = 0
    assert k_center_radius(vectors, centres) == pytest.approx(np.sqrt(squared.max()), abs=1e-5)


def test_cover_by_hand() -> None:
    neighbours = np.array([[1], [0], [1], [-1]], np.int32)
    kernel = np.array([[0.5], [0.5], [0.25], [0.9]], np.float32)
    # Row 1 chosen: itself 1, row 0 by either direction 0.5, row 2 lists it 0.25, row 3 has no neighbour.
    assert graph_cover(neighbours, kernel, np.array([1])) == pytest.approx((0.5 + 1 + 0.25 + 0) / 4)
    # Row 2 chosen: row 1 does not list it, but row 2 lists row 1, and an edge counts both ways.
    assert graph_cover(neighbours, kernel, np.array([2])) == pytest.approx((0 + 0.25 + 1 + 0) / 4)


def test_potential_equals_whole_gradients(vectors: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    probs = rng.dirichlet(np.ones(4), size=300).astype(np.float32)
    q = probs.copy()
    q[np.arange(300), probs.argmax(axis=1)] -= 1
    gradients = (q[:, :, None] * vectors[:, None, :]).reshape(300, -1)
    chosen = np.array([0, 3, 20])
    squared = ((gradients[:, None] - gradients[chosen][None]) ** 2).sum(axis=2).min(axis=1)
    assert badge_potential(vectors, probs, chosen) == pytest.approx(squared.sum(), rel=1e-4)


def test_scores_by_hand() -> None:
    probs = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.7, 0.1]], np.float32)
    assert margin_score(probs) == pytest.approx([1.0, 0.0, 0.5])
    assert entropy_score(probs)[:2] == pytest.approx([np.log(2), 0.0], abs=1e-6)


def test_recall_counts_what_is_missing(vectors: npt.NDArray[np.float32]) -> None:
    neighbours, _ = brute_force_graph(vectors, 5, "cpu")
    assert recall_at_k(vectors, neighbours) == 1.0
    neighbours[:, 4] = -1
    assert recall_at_k(vectors, neighbours) == pytest.approx(0.8)


@pytest.mark.parametrize("n", [2, 3, 300])
def test_brute_force_equals_sorting(vectors: npt.NDArray[np.float32], n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.gpu_graph.QUERY_ROWS", 64)
    monkeypatch.setattr("bench.gpu_graph.COLUMN_ROWS", 100)
    rows = vectors[:n]
    neighbours, similarity = brute_force_graph(rows, 5, "cpu")
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -2)
    k = min(5, n - 1)
    assert similarity.shape == (n, k)
    assert similarity == pytest.approx(-np.sort(-cosine, axis=1)[:, :k], abs=1e-5)
    assert (neighbours != np.arange(n)[:, None]).all()
    assert np.take_along_axis(cosine, neighbours, 1) == pytest.approx(similarity, abs=1e-5)


def test_every_strategy_has_a_judge() -> None:
    from activesel.strategies import strategy_names

    assert {judge_of(name)[1] for name in strategy_names()} == {"lower", "higher"}


def test_the_files_hold_the_pool(tmp_path: Path) -> None:
    vectors, labelled, classes = make_pool(3000, 24, 100)
    write_pool(tmp_path, PoolSpec(3000, 24, 100))
    stored = read_pool(tmp_path, mapped=True)
    assert (stored.vectors == vectors.astype(np.float16)).all()
    assert (stored.labelled == labelled).all()
    assert (stored.classes == classes).all()
    assert stored.probs is not None
    assert stored.probs.sum(axis=1) == pytest.approx(np.ones(3000), abs=1e-5)
    assert stored.neighbours is None
