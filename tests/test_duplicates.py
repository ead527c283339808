"""Near-duplicate groups: bursts stay together, chains do not, numbering is stable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.duplicates import group_near_duplicates
from activesel.errors import DataError
from activesel.index import knn_graph
from activesel.records import KnnGraph

Vectors = npt.NDArray[np.float32]


def circle(degrees: npt.ArrayLike) -> Vectors:
    angle = np.radians(np.asarray(degrees, dtype=np.float64))
    return np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def test_pairs_by_hand() -> None:
    graph = knn_graph(circle([0, 90, 1, 180, 91, 270]), 3)
    assert group_near_duplicates(graph, 0.99).tolist() == [0, 1, 0, 2, 1, 3]


def test_exact_copies_are_one_group_even_at_similarity_one() -> None:
    vectors = np.repeat(circle([0, 50]), [3, 2], axis=0)
    assert group_near_duplicates(knn_graph(vectors, 4), 1.0).tolist() == [0, 0, 0, 1, 1]


def test_a_chain_around_the_circle_does_not_become_one_group() -> None:
    vectors = circle(np.arange(0, 360, 1))  # each is 1 degree from the next; 0.995 is 5.7 degrees
    groups = group_near_duplicates(knn_graph(vectors, 16), 0.995)
    assert 20 < groups.max() + 1 < 90
    assert widest_group(vectors, groups) >= np.cos(2 * np.arccos(0.995)) - 1e-5


def test_a_burst_larger_than_the_neighbour_lists_stays_whole(rng: np.random.Generator) -> None:
    burst = circle([0] * 300) + 1e-3 * rng.standard_normal((300, 2)).astype(np.float32)
    vectors = np.vstack([burst / np.linalg.norm(burst, axis=1, keepdims=True), circle([90, 180])])
    groups = group_near_duplicates(knn_graph(vectors, 8), 0.97)
    assert np.bincount(groups).tolist() == [300, 1, 1]


def test_every_member_is_near_one_centre(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((600, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = group_near_duplicates(knn_graph(vectors, 20), 0.98)
    assert groups.max() + 1 < 600
    for group in range(groups.max() + 1):
        members = vectors[groups == group]
        assert (members @ members.T).min(axis=1).max() >= 0.98 - 1e-5


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(0, 10_000))
def test_numbered_by_first_member_and_repeatable(n: int, seed: int) -> None:
    vectors = circle(np.random.default_rng(seed).uniform(0, 360, n))
    graph = knn_graph(vectors, 5)
    groups = group_near_duplicates(graph, 0.99)
    first_seen = list(dict.fromkeys(groups.tolist()))
    assert first_seen == list(range(len(first_seen)))
    assert groups.dtype == np.int32
    assert (groups == group_near_duplicates(graph, 0.99)).all()


def test_one_image() -> None:
    assert group_near_duplicates(knn_graph(circle([0]), 5), 0.97).tolist() == [0]


def test_a_missing_neighbour_links_nothing() -> None:
    graph = KnnGraph(np.array([[-1], [-1]], np.int32), np.ones((2, 1), np.float32))
    assert group_near_duplicates(graph, 0.5).tolist() == [0, 1]


@pytest.mark.parametrize("similarity", [0.0, 1.1, -0.5, float("nan")])
def test_similarity_out_of_range(similarity: float) -> None:
    with pytest.raises(DataError, match="similarity"):
        group_near_duplicates(knn_graph(circle([0, 1]), 1), similarity)


def widest_group(vectors: Vectors, groups: npt.NDArray[np.int32]) -> float:
    """Return the lowest cosine between two members of one group."""
    return min(float((vectors[groups == g] @ vectors[groups == g].T).min()) for g in range(groups.max() + 1))
