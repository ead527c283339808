"""Each fast strategy against the few plain lines that define it, on small inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activesel.density import sample_density
from activesel.records import FloatArray, Pool
from activesel.strategies import clusters, coverage, farthest, ranking
from activesel.tensors import Rows
from activesel.uncertainty import score_margin
from tests.strategies.pools import as_pool, make_pool, run, unit


def plain_k_center(pool: Pool, budget: int, weight: FloatArray, first: int | None) -> list[int]:
    vectors = pool.vectors.astype(np.float64)
    distance = np.sqrt(np.maximum(2 - 2 * vectors @ vectors.T, 0))
    nearest = distance[pool.labelled].min(axis=0) if len(pool.labelled) else np.full(pool.n, np.inf)
    picked = [] if first is None else [first]
    if first is not None:
        nearest = distance[first].copy()
    open_rows = pool.candidates.copy()
    open_rows[pool.labelled] = False
    while len(picked) < budget:
        open_rows[picked] = False
        row = int(np.argmax(np.where(open_rows, nearest * weight, -1)))
        picked.append(row)
        nearest = np.minimum(nearest, distance[row])
    return picked


@pytest.mark.parametrize("active_rows", [16, 64, 4096])
@pytest.mark.parametrize("n_labelled", [0, 12])
def test_k_center_equals_plain_greedy(active_rows: int, n_labelled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(farthest.EXACT_ROWS, "cpu", active_rows)
    monkeypatch.setitem(farthest.ROUGH_ROWS, "cpu", 2 * active_rows)
    pool = make_pool(n=700, n_labelled=n_labelled)
    picks = run("k-center", pool, 90).rows.tolist()
    assert picks == plain_k_center(pool, 90, np.ones(pool.n), picks[0] if n_labelled == 0 else None)


@pytest.mark.parametrize("trust", [0.0, 0.5, 1.0])
def test_weighted_k_center_equals_plain_greedy(trust: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(farthest.EXACT_ROWS, "cpu", 32)
    pool = make_pool(n=500)
    assert pool.uncertainty is not None
    weight = np.maximum(pool.uncertainty, 1e-6) ** trust
    assert run("weighted-k-center", pool, 60, trust=trust).rows.tolist() == plain_k_center(pool, 60, weight, None)


@pytest.mark.parametrize("kind", ["copies", "zeros", "half precision", "one image"])
def test_k_center_reaches_the_plain_radius_on_awkward_pools(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties may fall either way; the distance of every pick, and what is left at the end, may not."""
    monkeypatch.setitem(farthest.EXACT_ROWS, "cpu", 32)
    monkeypatch.setitem(farthest.ROUGH_ROWS, "cpu", 64)
    vectors = make_pool(n=300).vectors.copy()
    if kind == "copies":
        vectors[50:250] = vectors[7]
    if kind == "zeros":
        vectors[50:250] = 0
    if kind == "half precision":
        vectors = vectors.astype(np.float16)
    if kind == "one image":
        vectors = vectors[:1]
    pool = as_pool(vectors)
    budget = min(60, pool.n)
    picks = run("k-center", pool, budget)
    plain = plain_k_center(pool, budget, np.ones(pool.n), int(picks.rows[0]))
    distance = np.sqrt(np.maximum(2 - 2 * vectors.astype(float) @ vectors.T.astype(float), 0))
    for i in range(1, budget):
        expected = distance[plain[i], plain[:i]].min()
        assert distance[picks.rows[i], picks.rows[:i]].min() == pytest.approx(expected, abs=2e-3), i


def test_typicality_of_a_large_cluster_is_exact_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(make_pool(n=500, n_clusters=2).vectors)
    assigned = np.zeros(500, np.int32)
    exact = clusters.score_typicality(rows, assigned, 20, np.random.default_rng(0))
    monkeypatch.setattr(clusters, "EXACT_MEMBERS", 100)
    monkeypatch.setattr(clusters, "SAMPLED_MEMBERS", 80)
    monkeypatch.setattr(clusters, "BLOCK_VALUES", 7000)
    sampled = clusters.score_typicality(rows, assigned, 20, np.random.default_rng(0))
    assert (sampled <= exact * (1 + 1e-5)).all()
    top = np.argsort(-exact)[:10]
    assert sampled[top] == pytest.approx(exact[top], rel=1e-5)
    assert set(np.argsort(-sampled)[:10]) == set(top)


def test_typicality_is_one_over_the_mean_distance() -> None:
    vectors = make_pool(n=60).vectors
    assigned = (np.arange(60) % 3).astype(np.int32)
    scores = clusters.score_typicality(Rows(vectors), assigned, 4, np.random.default_rng(0))
    distance = np.sqrt(np.maximum(2 - 2 * vectors @ vectors.T, 0))
    for row in range(60):
        others = np.sort(distance[row, [j for j in range(60) if j % 3 == row % 3 and j != row]])[:4]
        assert scores[row] == pytest.approx(1 / (others.mean() + 1e-5), rel=1e-3)


def test_k_center_on_four_points_on_a_line() -> None:
    """By hand: label the left end, and the right end is farthest, then the middle."""
    angles = np.array([0.0, 0.1, 0.8, 1.5])
    pool = as_pool(unit(np.stack([np.cos(angles), np.sin(angles)], axis=1)), k=3)
    pool = replace(pool, labelled=np.array([0]))
    assert run("k-center", pool, 3).rows.tolist() == [3, 2, 1]


def plain_cover(
    kernel: FloatArray, weight: FloatArray, labelled: FloatArray, budget: int
) -> tuple[list[int], list[float]]:
    covered = kernel[labelled].max(axis=0) if len(labelled) else np.zeros(len(kernel))
    picked: list[int] = []
    gains = []
    for _ in range(budget):
        gain = (np.maximum(kernel - covered, 0) * weight).sum(axis=1)
        gain[[*picked, *labelled]] = -1
        picked.append(int(gain.argmax()))
        gains.append(float(gain.max()))
        covered = np.maximum(covered, kernel[picked[-1]])
    return picked, gains


def dense_kernel(pool: Pool, scale: float) -> FloatArray:
    vectors = pool.vectors.astype(np.float64)
    kernel = np.exp(-np.maximum(2 - 2 * vectors @ vectors.T, 0) / scale)
    np.fill_diagonal(kernel, 1)
    return kernel


def test_max_herding_with_all_neighbours_is_the_paper() -> None:
    pool = make_pool(n=120, k=119)
    picks = run("max-herding", pool, 40, bandwidth=0.7)
    rows, gains = plain_cover(dense_kernel(pool, 0.49), np.ones(120), pool.labelled, 40)
    assert picks.rows.tolist() == rows
    assert picks.gain == pytest.approx(gains, rel=1e-4)


def test_uncertainty_herding_with_all_neighbours_is_the_paper() -> None:
    pool = make_pool(n=120, k=119)
    assert pool.probs is not None
    known = pool.vectors[pool.labelled].astype(np.float64)
    distance = np.sqrt(np.maximum(2 - 2 * known @ known.T, 0)) + 9 * np.eye(len(known))
    weight = score_margin(pool.probs).astype(float)
    weight[pool.labelled] = 0
    rows, _ = plain_cover(dense_kernel(pool, distance.min() ** 2), weight, pool.labelled, 30)
    assert run("uncertainty-herding", pool, 30).rows.tolist() == rows


def tempered_margin(pool: Pool, temperature: float) -> FloatArray:
    assert pool.probs is not None
    tempered = pool.probs.astype(float) ** (1 / temperature)
    top = np.sort(tempered / tempered.sum(axis=1, keepdims=True), axis=1)
    margin: FloatArray = top[:, -1] - top[:, -2]
    return 1 - margin


def test_sparse_coverage_is_density_corrected_coverage() -> None:
    pool = make_pool(n=120, k=119)
    kernel = dense_kernel(pool, 0.45)
    weight = tempered_margin(pool, 2.5) / kernel.sum(axis=1) ** 1.15
    rows, _ = plain_cover(kernel, weight, pool.labelled, 30)
    assert run("sparse-coverage", pool, 30).rows.tolist() == rows


@pytest.mark.parametrize("n_labelled", [0, 12])
@pytest.mark.parametrize("has_model", [True, False])
def test_default_equals_plain_greedy(has_model: bool, n_labelled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The density is the strategy's own, checked beside it: its bfloat16 products decide ties."""
    monkeypatch.setitem(farthest.EXACT_ROWS, "cpu", 32)
    pool = make_pool(n=500, n_labelled=n_labelled)
    unsure = np.maximum(tempered_margin(pool, 2.0), 1e-6) if has_model else np.ones(pool.n)
    if not has_model:
        pool = replace(pool, probs=None, uncertainty=None)
    density = sample_density(pool.vectors, 0.45, np.random.default_rng(0))
    assert density == pytest.approx(dense_kernel(pool, 0.45).mean(axis=1), rel=0.02)
    weight = unsure**2 * density.astype(float) ** 0.25
    picks = run("default", pool, 60)
    assert picks.rows.tolist() == plain_k_center(pool, 60, weight, None if n_labelled else int(weight.argmax()))


def test_default_takes_a_group_before_one_freak_as_far_away() -> None:
    """By hand: 200 known images, 50 of an unknown kind, and one freak, at right angles to each other."""
    axes = np.eye(8)
    kind = np.repeat([0, 1, 2], [200, 50, 1])
    vectors = unit(axes[kind] + 0.05 * np.random.default_rng(0).normal(size=(251, 8)))
    pool = replace(as_pool(vectors), probs=None, uncertainty=None, labelled=np.arange(20))
    assert kind[run("default", pool, 2).rows].tolist() == [1, 2]


def test_facility_location_with_all_neighbours() -> None:
    pool = make_pool(n=100, k=99)
    similarity = np.maximum(pool.vectors.astype(np.float64) @ pool.vectors.T, 0)
    np.fill_diagonal(similarity, 1)
    rows, gains = plain_cover(similarity, np.ones(100), pool.labelled, 25)
    picks = run("facility-location", pool, 25)
    assert picks.gain == pytest.approx(gains, rel=1e-4)
    assert picks.rows.tolist() == rows


def test_probcover_with_all_neighbours_covers_like_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "_purity_threshold", lambda *_: 0.8)
    pool = make_pool(n=150, k=149, n_labelled=5)
    ball = (pool.vectors.astype(np.float64) @ pool.vectors.T >= 0.8).astype(float)
    np.fill_diagonal(ball, 1)
    _, gains = plain_cover(ball, np.ones(150), pool.labelled, 12)
    positive = [gain for gain in gains if gain > 0]
    assert run("probcover", pool, 12).gain[: len(positive)].tolist() == positive


def test_probcover_radius_keeps_the_asked_purity() -> None:
    pool = make_pool(n=300, k=50)
    assert pool.graph is not None
    pseudo = clusters.cluster(Rows(pool.vectors), 6, np.random.default_rng(0))
    threshold = coverage._purity_threshold(pool.graph, pseudo, 0.9)
    inside = pool.graph.similarity >= threshold
    pure = ~(inside & (pseudo[pool.graph.neighbours] != pseudo[:, None])).any(axis=1)
    assert 0.88 <= pure.mean() <= 0.95


def test_sparse_herding_in_two_rounds_equals_one() -> None:
    """What the first half of a batch covers, its labels cover in the next round."""
    pool = make_pool(n=300, n_labelled=0)
    whole = run("max-herding", pool, 40).rows
    later = run("max-herding", replace(pool, labelled=whole[:20]), 20).rows
    assert later.tolist() == whole[20:].tolist()


def test_typiclust_when_the_batch_exceeds_the_clusters() -> None:
    """A known peer fails when the batch is larger than the number of non-empty clusters."""
    vectors = np.repeat(unit(np.eye(4)), 10, axis=0)
    assert len(np.unique(run("typiclust", as_pool(vectors), 35).rows)) == 35


def test_typiclust_prefers_clusters_without_labels() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(np.repeat(np.eye(3), 40, axis=0) + 0.05 * rng.normal(size=(120, 3)))
    pool = replace(as_pool(vectors), labelled=np.array([0, 1, 40]))
    first = run("typiclust", pool, 1, max_clusters=3).rows[0]
    assert first >= 80


def test_cluster_margin_spreads_over_clusters() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(np.repeat(np.eye(5), 40, axis=0) + 0.05 * rng.normal(size=(200, 5)))
    pool = replace(as_pool(vectors), probs=np.full((200, 4), 0.25, dtype=np.float32))
    picks = run("cluster-margin", pool, 5, shortlist=40, max_clusters=5)
    assert len(np.unique(picks.rows // 40)) >= 3


@pytest.mark.parametrize("name", ["margin", "entropy", "least-confidence"])
def test_rankings_pick_the_top(name: str) -> None:
    pool = make_pool(n_labelled=0)
    assert pool.probs is not None
    score = {
        "margin": ranking.score_margin,
        "entropy": ranking.score_entropy,
        "least-confidence": ranking.score_least_confidence,
    }[name](pool.probs)
    assert set(run(name, pool, 20).rows) == set(np.argsort(-score, kind="stable")[:20])


def test_power_bald_prefers_disagreement_and_still_varies() -> None:
    pool = replace(make_pool(n=400, n_labelled=0), mutual_information=np.repeat([0.9, 0.05], 200).astype(np.float32))
    first, second = (run("power-bald", pool, 50, seed=s).rows for s in (0, 1))
    assert (first < 200).mean() > 0.8
    assert set(first) != set(second)


def test_exemplars_equal_plain_greedy_and_visit_every_exemplar() -> None:
    pool = make_pool(n=300, n_labelled=0)
    pool = replace(pool, exemplars=pool.vectors[[3, 150, 222]])
    assert pool.exemplars is not None
    similarity = (1 + pool.vectors @ pool.exemplars.T) / 2
    served = np.zeros(3)
    plain: list[int] = []
    for _ in range(30):
        gain = np.maximum(similarity - served, 0).sum(axis=1) + similarity.max(axis=1)
        gain[plain] = -1
        plain.append(int(gain.argmax()))
        served = np.maximum(served, similarity[plain[-1]])
    assert run("exemplars", pool, 30).rows.tolist() == plain


@pytest.mark.parametrize("name", ["default", "sparse-coverage"])
def test_behaviour_rare_clusters_that_random_misses_are_found(name: str) -> None:
    """990 images of two common kinds, 10 of a rare one: a batch of 20 should meet the rare kind."""
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(3, 16)))
    kind = np.repeat([0, 1, 2], [500, 490, 10])
    vectors = unit(centres[kind] + 0.1 * rng.normal(size=(1000, 16)))
    pool = replace(as_pool(vectors), probs=None, uncertainty=None)
    found = [(kind[run(name, pool, 20, seed=s).rows] == 2).sum() for s in range(3)]
    random = [(kind[run("random", pool, 20, seed=s).rows] == 2).sum() for s in range(3)]
    assert min(found) >= 1
    assert sum(found) > sum(random)
