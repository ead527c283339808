"""The index against brute force: exact where it says so, recall >= 0.99 elsewhere; files that cannot hurt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.errors import DataError
from activesel.index import FLAT_UP_TO, Kind, VectorIndex, knn_graph, measure_recall

Vectors = npt.NDArray[np.float32]
KINDS: tuple[Kind, ...] = ("flat", "ivf", "hnsw")


def unit(vectors: npt.NDArray[np.float64]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(n: int, d: int, n_clusters: int, seed: int = 0) -> Vectors:
    """Gaussian clusters in a 20-dimensional subspace plus noise in all d: how real embeddings lie."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_clusters, 20))
    inside = centres[rng.integers(0, n_clusters, n)] + 0.3 * rng.standard_normal((n, 20))
    basis = np.linalg.qr(rng.standard_normal((d, 20)))[0]
    return unit(inside @ basis.T + 0.05 * rng.standard_normal((n, d)))


def brute_force(vectors: Vectors, rows: npt.NDArray[np.int64], k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    similarity = vectors[rows] @ vectors.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, order, 1), order


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 60), st.integers(1, 80), st.integers(0, 1000))
def test_small_graph_is_exact(n: int, k: int, seed: int) -> None:
    vectors = unit(np.random.default_rng(seed).standard_normal((n, 6)))
    graph = knn_graph(vectors, k)
    similarity, rows = brute_force(vectors, np.arange(n), min(k, n - 1))
    assert graph.neighbours.dtype == np.int32
    assert graph.similarity == pytest.approx(similarity, abs=1e-5)
    differ = graph.neighbours != rows
    assert np.abs(np.diff(similarity, axis=1)).min(initial=1) < 1e-5 or not differ.any()


def test_copies_stay_neighbours_and_self_never_is() -> None:
    vectors = np.repeat(unit(np.eye(3)), 5, axis=0)
    graph = knn_graph(vectors, 4)
    assert graph.neighbours[0].tolist() == [1, 2, 3, 4]
    assert graph.neighbours[7].tolist() == [5, 6, 8, 9]
    assert not (graph.neighbours == np.arange(15)[:, None]).any()


def test_more_copies_than_neighbours() -> None:
    graph = knn_graph(np.repeat(unit(np.eye(2)), 50, axis=0), 3)
    assert not (graph.neighbours == np.arange(100)[:, None]).any()
    assert graph.similarity == pytest.approx(np.ones((100, 3)))


def test_one_row_and_zero_rows_of_length() -> None:
    alone = knn_graph(unit(np.ones((1, 4))), 5)
    assert alone.neighbours.tolist() == [[-1]]
    assert alone.similarity.tolist() == [[0]]
    zeros = knn_graph(np.zeros((4, 3), np.float32), 2)
    assert zeros.neighbours.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    assert zeros.similarity.tolist() == [[0, 0]] * 4


def test_half_precision_and_memory_mapped(tmp_path: Path) -> None:
    vectors = clustered(500, 32, 20)
    np.save(tmp_path / "v.npy", vectors.astype(np.float16))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert knn_graph(mapped, 5).similarity == pytest.approx(knn_graph(vectors, 5).similarity, abs=2e-3)


def test_large_graph_has_the_promised_recall_and_is_repeatable() -> None:
    vectors = clustered(FLAT_UP_TO + 2000, 64, 400)
    graph = knn_graph(vectors, 16, seed=3)
    rows = np.arange(0, len(vectors), 50)
    assert measure_recall(graph.similarity[rows], brute_force(vectors, rows, 16)[0]) >= 0.99
    assert not (graph.neighbours == np.arange(len(vectors))[:, None]).any()
    assert (np.diff(graph.similarity, axis=1) <= 0).all()
    again = knn_graph(vectors, 16, seed=3)
    assert (again.neighbours == graph.neighbours).all()
    assert (again.similarity == graph.similarity).all()


@pytest.mark.parametrize("kind", KINDS)
def test_recall_of_each_kind(kind: Kind) -> None:
    vectors, queries = np.split(clustered(4300, 48, 100), [4000])
    exact = -np.sort(-(queries @ vectors.T), axis=1)[:, :20]
    found, rows = VectorIndex.build(vectors, kind=kind).search(queries, 20)
    assert measure_recall(found, exact) >= (1.0 if kind == "flat" else 0.99)
    assert found == pytest.approx(np.einsum("qd,qkd->qk", queries, vectors[rows]), abs=1e-5)


def test_recall_where_lists_do_not_help() -> None:
    """Uniform directions have no clusters: the tuning must notice, and look everywhere if it has to."""
    vectors = unit(np.random.default_rng(0).standard_normal((3000, 64)))
    exact = -np.sort(-(vectors[:200] @ vectors.T), axis=1)[:, :10]
    found, _ = VectorIndex.build(vectors, kind="ivf").search(vectors[:200], 10)
    assert measure_recall(found, exact) >= 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_added_rows_continue_the_numbers(kind: Kind) -> None:
    vectors = clustered(1500, 24, 50)
    index = VectorIndex.build(vectors[:1000], kind=kind)
    index.add(vectors[1000:1000])
    index.add(vectors[1000:])
    assert len(index) == 1500
    _, rows = index.search(vectors, 1)
    assert (rows[:, 0] == np.arange(1500)).mean() >= 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load(kind: Kind, tmp_path: Path) -> None:
    vectors = clustered(800, 24, 20)
    index = VectorIndex.build(vectors, seed=1, kind=kind)
    index.save(tmp_path / "index.bin")
    loaded = VectorIndex.load(tmp_path / "index.bin")
    assert loaded.kind == kind
    for before, after in zip(index.search(vectors, 7), loaded.search(vectors, 7), strict=True):
        assert (before == after).all()
    loaded.add(vectors[:10])
    assert len(loaded) == 810


def test_fewer_rows_than_asked_for() -> None:
    similarity, rows = VectorIndex.build(unit(np.eye(3))).search(unit(np.eye(3)), 5)
    assert rows[0].tolist() == [0, 1, 2, -1, -1]
    assert similarity[0].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("at", [0, 5, 20, 60, 150, 1000, -1])
def test_a_damaged_file_is_an_error_not_a_crash(at: int, tmp_path: Path) -> None:
    path = tmp_path / "index.bin"
    VectorIndex.build(clustered(300, 24, 5), kind="ivf").save(path)
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"index\.bin"):
        VectorIndex.load(path)


@pytest.mark.parametrize("keep", [0, 10, 18, 40, 200, 5000])
def test_a_file_cut_short(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "index.bin"
    VectorIndex.build(clustered(300, 24, 5)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"index\.bin"):
        VectorIndex.load(path)
    with pytest.raises(DataError, match="cannot read the index"):
        VectorIndex.load(tmp_path / "none.bin")


def test_beside_torch() -> None:
    """Both bring their own OpenMP; together they must neither crash nor change the result."""
    import torch

    vectors = clustered(2000, 32, 50)
    before = knn_graph(vectors, 8)
    torch.from_numpy(vectors) @ torch.from_numpy(vectors).T
    after = knn_graph(vectors, 8)
    assert (before.neighbours == after.neighbours).all()
