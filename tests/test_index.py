"""The graph against brute force: exact where it says so, as good as promised elsewhere, and no worse when it grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.index import extend_graph, knn_graph, measure_recall
from activesel.index import graph as module
from activesel.index.exact import ExactSearch
from activesel.index.found import Found, take_best
from activesel.index.lists import Lists, _find_largest
from activesel.index.search import ListSearch
from activesel.records import IntArray, KnnGraph
from activesel.tensors import Rows

Vectors = npt.NDArray[np.float32]
N_LARGE = module.EXACT_UP_TO + 4000


def unit(vectors: npt.NDArray[np.float64]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(n: int, d: int, n_clusters: int, seed: int = 0) -> Vectors:
    """Gaussian clusters in a 20-dimensional subspace plus noise in all d: how real embeddings lie."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n_clusters, 20))
    inside = centres[rng.integers(0, n_clusters, n)] + 0.3 * rng.standard_normal((n, 20))
    basis = np.linalg.qr(rng.standard_normal((d, 20)))[0]
    return unit(inside @ basis.T + 0.05 * rng.standard_normal((n, d)))


def brute_force(vectors: Vectors, rows: IntArray, k: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    similarity = vectors[rows] @ vectors.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, order, 1), order


def check_lists(graph: KnnGraph, vectors: Vectors) -> None:
    """What every graph keeps: no self, nobody twice, in order, and the similarity that the vectors have."""
    assert not (graph.neighbours == np.arange(len(vectors))[:, None]).any()
    ordered = np.sort(graph.neighbours, axis=1)
    assert not ((np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] >= 0)).any()
    assert (np.diff(graph.similarity, axis=1) <= 0).all()
    rows = np.arange(0, len(vectors), 37)
    true = np.einsum("rd,rkd->rk", vectors[rows], vectors[graph.neighbours[rows]])
    assert graph.similarity[rows] == pytest.approx(true, abs=1e-6)


@pytest.fixture(scope="module")
def large() -> Vectors:
    return clustered(N_LARGE, 64, 400)


@pytest.fixture(scope="module")
def large_graph(large: Vectors) -> KnnGraph:
    return knn_graph(large, 16, seed=3)


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


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 90), st.integers(1, 20), st.integers(1, 4), st.integers(0, 1000))
def test_ties_go_to_the_lower_row_in_blocks_of_any_size(n: int, k: int, n_values: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-n_values, n_values + 1, (n, 3)).astype(np.float32)  # whole numbers: products are exact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("activesel.index.exact.BLOCK_COLUMNS", 7)
        patch.setattr("activesel.index.exact.BLOCK_VALUES", {"cpu": 35})
        similarity, neighbours = ExactSearch(Rows(vectors)).find(np.arange(n), k)
    true, rows = brute_force(vectors, np.arange(n), min(k, n - 1))
    assert (similarity[:, : n - 1] == true).all()
    assert (neighbours[:, : n - 1] == rows).all()
    assert (neighbours[:, n - 1 :] == -1).all()


def test_copies_stay_neighbours_and_self_never_is() -> None:
    vectors = np.repeat(unit(np.eye(3)), 5, axis=0)
    graph = knn_graph(vectors, 4)
    assert graph.neighbours[0].tolist() == [1, 2, 3, 4]
    assert graph.neighbours[7].tolist() == [5, 6, 8, 9]


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


def test_large_graph_has_the_promised_recall(large: Vectors, large_graph: KnnGraph) -> None:
    rows = np.arange(0, N_LARGE, 50)
    assert measure_recall(large_graph.similarity[rows], brute_force(large, rows, 16)[0]) >= 0.99
    check_lists(large_graph, large)


def test_the_same_graph_again_mapped_or_not(large: Vectors, large_graph: KnnGraph, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", large)
    again = knn_graph(np.load(tmp_path / "v.npy", mmap_mode="r"), 16, seed=3)
    assert (again.neighbours == large_graph.neighbours).all()
    assert (again.similarity == large_graph.similarity).all()


def test_parts_that_are_remembered_are_not_searched_again(
    large: Vectors, large_graph: KnnGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_ROWS", 5000)
    kept: list[tuple[IntArray, Found]] = []

    def die_after_three(rows: IntArray, find: object) -> Found:
        if len(kept) == 3:
            raise KeyboardInterrupt
        assert callable(find)
        kept.append((rows, find()))
        return kept[-1][1]

    def recall(rows: IntArray, find: object) -> Found:
        assert callable(find)
        if not kept:
            found: Found = find()
            return found
        same, found = kept.pop(0)
        assert (same == rows).all()
        return found

    with pytest.raises(KeyboardInterrupt):
        knn_graph(large, 16, seed=3, remember=die_after_three)
    resumed = knn_graph(large, 16, seed=3, remember=recall)
    assert (resumed.neighbours == large_graph.neighbours).all()
    assert (resumed.similarity == large_graph.similarity).all()


def test_recall_where_lists_do_not_help(caplog: pytest.LogCaptureFixture) -> None:
    """Uniform directions have no clusters: the tuning must notice, and look everywhere if it has to."""
    vectors = unit(np.random.default_rng(0).standard_normal((6000, 64)))
    search = ListSearch(Rows(vectors), 10, seed=0)
    rows = np.arange(0, 6000, 20)
    similarity, _ = search.find(rows, 10)
    assert measure_recall(similarity, brute_force(vectors, rows, 10)[0]) >= 0.98
    assert search.effort.probes >= 10
    assert not caplog.records


def test_one_giant_cluster_beside_small_ones() -> None:
    dense = clustered(9000, 32, 1, seed=1)
    vectors = np.concatenate([dense, clustered(3000, 32, 60, seed=2)])
    search = ListSearch(Rows(vectors), 12, seed=0)
    rows = np.arange(0, len(vectors), 10)
    assert measure_recall(search.find(rows, 12)[0], brute_force(vectors, rows, 12)[0]) >= 0.98


@pytest.mark.parametrize("k", [1, 40])
def test_thousands_of_copies_and_zeros(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One list would hold them all; it is cut, and each copy still finds only copies."""
    monkeypatch.setattr("activesel.index.lists.LONGEST_LIST", 500)
    vectors = clustered(6000, 24, 30)
    vectors[1000:3500] = vectors[1000]
    vectors[5000:] = 0
    order = np.random.default_rng(0).permutation(6000)
    rows = Rows(vectors[order])
    assert np.bincount(Lists(rows, 0).of_row).max() <= 500
    similarity, neighbours = ListSearch(rows, k, seed=0).find(np.arange(6000), k)
    check_lists(KnnGraph(neighbours, similarity), vectors[order])
    copies = (order >= 1000) & (order < 3500)
    assert similarity[copies] == pytest.approx(np.ones((2500, k)), abs=1e-6)
    assert similarity[order >= 5000] == pytest.approx(np.zeros((1000, k)))


def test_few_dimensions() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((3000, 3)))
    rows = np.arange(0, 3000, 10)
    search = ListSearch(Rows(vectors), 5, seed=0)
    assert measure_recall(search.find(rows, 5)[0], brute_force(vectors, rows, 5)[0]) >= 0.98


def test_take_best_by_hand() -> None:
    similarity = np.array([[0.5, 0.9, 0.5, -np.inf], [-np.inf, 0.1, -np.inf, -np.inf]], np.float32)
    best, rows = take_best(similarity, np.array([[7, 3, 2, 1], [0, 4, 5, 6]]), 3)
    assert rows.tolist() == [[3, 2, 7], [4, -1, -1]]
    assert best == pytest.approx(np.array([[0.9, 0.5, 0.5], [0.1, 0, 0]]))


def overlap(first: KnnGraph, second: KnnGraph) -> float:
    """The share of the first graph's neighbours that the second lists too."""
    both = [np.isin(a, b).mean() for a, b in zip(first.neighbours[::20], second.neighbours[::20], strict=True)]
    return float(np.mean(both))


def test_a_grown_graph_is_as_good_as_a_new_one(large: Vectors, large_graph: KnnGraph) -> None:
    places = np.flatnonzero(np.random.default_rng(0).random(N_LARGE) >= 0.1)
    before = knn_graph(large[places], 16, seed=3)
    kept = before.neighbours.copy()
    grown = extend_graph(large, before, places, 16, seed=3)
    check_lists(grown, large)
    assert (before.neighbours == kept).all(), "the old graph is somebody else's"
    rows = np.arange(0, N_LARGE, 50)
    exact = brute_force(large, rows, 16)[0]
    assert measure_recall(grown.similarity[rows], exact) >= 0.985
    old = np.isin(rows, places)
    assert measure_recall(grown.similarity[rows[old]], exact[old]) >= 0.985
    assert overlap(large_graph, grown) >= 0.97


def test_rows_that_left_are_in_no_list(large: Vectors) -> None:
    leaves = np.random.default_rng(0).random(N_LARGE) < 0.02
    before = knn_graph(large, 16, seed=3)
    places = np.where(leaves, -1, np.cumsum(~leaves) - 1)
    grown = extend_graph(large[~leaves], before, places, 16, seed=3)
    check_lists(grown, large[~leaves])
    assert (grown.neighbours >= 0).all(), "where a neighbour left, another took its place"


def test_a_small_graph_grows_exactly() -> None:
    vectors = clustered(400, 24, 10)
    places = np.sort(np.random.default_rng(1).permutation(400)[:350])
    grown = extend_graph(vectors, knn_graph(vectors[places], 8), places, 8)
    whole = knn_graph(vectors, 8)
    assert (grown.neighbours == whole.neighbours).all()


def test_growing_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points on a quarter circle; the new one, at 11 degrees, enters the lists of those it is near to."""
    monkeypatch.setattr(module, "EXACT_UP_TO", 0)
    monkeypatch.setattr(module, "_open_search", lambda rows, _k, _seed: ExactSearch(rows))
    angles = np.deg2rad([0, 10, 11, 20, 40, 60])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    places = np.array([0, 1, 3, 4, 5])
    grown = extend_graph(vectors, knn_graph(vectors[places], 2), places, 2)
    assert grown.neighbours.tolist() == [[1, 2], [2, 0], [1, 3], [2, 1], [3, 5], [4, 3]]


def test_the_device_path_is_the_exact_one() -> None:
    """On a GPU everything is compared with everything; on the CPU the same code is the oracle of the rest."""
    vectors = clustered(700, 24, 10)
    similarity, neighbours = ExactSearch(Rows(vectors, "cpu")).find(np.arange(700), 9)
    graph = knn_graph(vectors, 9, device="cpu")
    assert (graph.neighbours == neighbours).all()
    assert (graph.similarity == similarity).all()


def test_beside_torch() -> None:
    """torch and faiss bring an OpenMP each; together they must neither crash nor change the result."""
    import torch

    vectors = clustered(3000, 32, 50)
    threads = torch.get_num_threads()
    before = ListSearch(Rows(vectors), 8, seed=0).find(np.arange(3000), 8)[1]
    assert torch.get_num_threads() == threads
    torch.from_numpy(vectors) @ torch.from_numpy(vectors).T
    after = ListSearch(Rows(vectors), 8, seed=0).find(np.arange(3000), 8)[1]
    assert (before == after).all()
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("m", [1, 7, 64])
def test_the_largest_of_each_line_are_found_whatever_their_sign(m: int) -> None:
    values = torch.randn(50, 64 * 8, generator=torch.Generator().manual_seed(m)).bfloat16()
    values[:10] = -values[:10].abs()
    values[20, 100:] = -torch.inf
    columns = torch.from_numpy(_find_largest(values, m))
    assert (columns.sort(dim=1).values.diff(dim=1) > 0).all(), "no column twice"
    expected = values.topk(m, dim=1).values
    assert torch.equal(values.gather(1, columns).sort(dim=1, descending=True).values, expected)
