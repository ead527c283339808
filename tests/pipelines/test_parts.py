"""Selection in parts: exact about budget and rules, as good as in one, and the same whatever the order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import activesel
from activesel.journal import State
from activesel.nearest import find_nearest, to_distance
from activesel.pipelines.parts import Part, Rule, deal_rows, pick_in_parts, run_part
from activesel.records import FloatArray, Pool, Quota
from activesel.strategies import find_strategy, strategy_names
from tests.strategies.pools import as_pool, make_pool, unit

CUT = [name for name in strategy_names() if find_strategy(name).in_parts != "whole"]


def pick(name: str, pool: Pool, budget: float, n_parts: int = 4, **rule: Any) -> activesel.Picks:
    return pick_in_parts(pool, Rule(find_strategy(name), budget, neighbours=10, **rule), n_parts)


@pytest.mark.parametrize("name", CUT)
class TestEveryStrategyThatIsCut:
    def test_picks_the_budget_without_repeats_or_labelled_rows(self, name: str) -> None:
        pool = make_pool()
        picks = pick(name, pool, 30)
        assert len(np.unique(picks.rows)) == 30
        assert len(picks.gain) == 30
        assert not np.isin(picks.rows, pool.labelled).any()

    def test_cold_start(self, name: str) -> None:
        assert len(np.unique(pick(name, make_pool(n_labelled=0), 20).rows)) == 20

    def test_more_parts_than_candidates_and_than_rows(self, name: str) -> None:
        pool = make_pool(n=30, n_labelled=3)
        few = replace(pool, candidates=np.arange(30) >= 24)
        assert len(pick(name, few, 5, n_parts=20).rows) == 5
        assert len(np.unique(pick(name, pool, 27, n_parts=1000).rows)) == 27

    def test_one_image(self, name: str) -> None:
        assert pick(name, as_pool(unit(np.ones((1, 4)))), 1).rows.tolist() == [0]

    def test_exact_duplicates_and_zero_vectors(self, name: str) -> None:
        vectors = np.repeat(unit(np.random.default_rng(0).normal(size=(6, 8))), 5, axis=0)
        vectors[:3] = 0.0
        assert len(np.unique(pick(name, as_pool(vectors), 12).rows)) == 12

    def test_limits_and_minimums_are_exact(self, name: str) -> None:
        codes = np.where(np.arange(200) < 8, 0, np.where(np.arange(200) < 150, 1, -1))
        quota = Quota("station", codes, np.array([99, 7]), np.array([5, 0]))
        picks = pick(name, make_pool(n_labelled=0, quotas=(quota,)), 30)
        assert len(picks.rows) == 30
        assert (codes[picks.rows] == 0).sum() >= 5
        assert (codes[picks.rows] == 1).sum() <= 7

    def test_spends_at_most_the_budget_in_cost(self, name: str) -> None:
        cost = np.random.default_rng(0).uniform(1, 9, size=200)
        spent = cost[pick(name, make_pool(n_labelled=0, cost=cost), 50).rows].sum()
        assert 50 - cost.max() < spent <= 50 + 1e-6

    def test_the_order_of_the_parts_does_not_matter(self, name: str) -> None:
        def backwards(run: Callable[[Part], Any], parts: Iterable[Part]) -> Iterable[Any]:
            return [run(part) for part in reversed(list(parts))]

        pool, rule = make_pool(), Rule(find_strategy(name), 25, neighbours=10)
        forwards = pick_in_parts(pool, rule, 5)
        assert forwards.rows.tolist() == pick_in_parts(pool, rule, 5, backwards).rows.tolist()

    def test_another_seed_deals_other_parts(self, name: str) -> None:
        pool = make_pool()
        first, second = (deal_rows(pool, 4, seed) for seed in (0, 1))
        assert not np.array_equal(first[0], second[0])
        assert pick(name, pool, 10, seed=3).rows.tolist() == pick(name, pool, 10, seed=3).rows.tolist()


@pytest.mark.parametrize("name", strategy_names())
def test_one_part_is_what_it_was(name: str) -> None:
    pool = make_pool()
    around = {"labelled": pool.labelled, "classes": pool.classes, "exemplars": pool.exemplars, "strategy": name}
    plain = activesel.select(pool.vectors, budget=15, **around)
    assert plain.rows.tolist() == activesel.select(pool.vectors, budget=15, partitions=1, **around).rows.tolist()
    parts = activesel.select(pool.vectors, budget=15, partitions=3, **around)
    if find_strategy(name).in_parts == "whole":
        assert plain.rows.tolist() == parts.rows.tolist()
    assert len(np.unique(parts.rows)) == 15


def test_parts_are_equal_disjoint_and_whole() -> None:
    pool = make_pool(n=103, n_labelled=10)
    parts = deal_rows(pool, 4, seed=0)
    assert [len(rows) for rows in parts] == [24, 23, 23, 23]
    joined = np.concatenate([*parts, pool.labelled])
    assert sorted(joined.tolist()) == list(range(103))


def test_a_part_sees_all_labels_and_its_own_rows() -> None:
    """By hand: the label stands where row 3 stands, so the part of rows 2 and 3 has only row 2 worth picking."""
    vectors = unit(np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0, -1]], dtype=np.float32))
    pool = as_pool(vectors, labelled=np.array([4]), n_classes=2)
    seen: list[Part] = []

    def keep(run: Callable[[Part], Any], parts: Iterable[Part]) -> Iterable[Any]:
        seen.extend(parts)
        return map(run, seen)

    rule = Rule(find_strategy("facility-location"), 1, neighbours=2)
    pick_in_parts(pool, rule, 2, keep)
    for part in seen:
        assert part.rows[part.pool.labelled].tolist() == [4]
        assert np.array_equal(part.pool.vectors, vectors[part.rows])
        assert part.pool.probs is not None
        assert pool.probs is not None
        assert np.array_equal(part.pool.probs, pool.probs[part.rows])
        assert len(run_part(part, rule)) == 1


def test_a_part_without_a_candidate_picks_nothing() -> None:
    pool = make_pool()
    part = Part(0, np.arange(200), replace(pool, candidates=np.zeros(200, bool)))
    assert run_part(part, Rule(find_strategy("default"), 5)).tolist() == []


def test_near_duplicates_in_different_parts_are_one_group() -> None:
    twins = np.repeat(np.random.default_rng(1).normal(size=(40, 12)), 4, axis=0)
    picks = activesel.select(
        twins, budget=30, labelled=[0], classes=[0], near_duplicate=0.99, group_cap=1, partitions=4, neighbours=10
    )
    groups = picks.rows // 4
    assert len(np.unique(groups)) == 30
    assert 0 not in groups


def test_evaluation_images_keep_their_twins_out_of_training_in_parts_too() -> None:
    twins = np.repeat(np.random.default_rng(1).normal(size=(60, 12)), 3, axis=0)
    picks = activesel.select(
        twins, budget=30, evaluation=0.4, near_duplicate=0.99, group_cap=1, strategy="k-center", partitions=3
    )
    assert picks.propensity is not None
    drawn = ~np.isnan(picks.propensity)
    assert drawn.sum() == 12
    assert not set(picks.rows[drawn] // 3) & set(picks.rows[~drawn] // 3)


def test_k_center_in_parts_leaves_no_row_farther_than_its_last_pick() -> None:
    pool = make_pool(n=2000, n_clusters=30)
    picks = pick("k-center", pool, 60, n_parts=8)
    assert radius(pool, picks.rows) <= picks.gain.min() + 1e-5
    whole = find_strategy("k-center").run(pool, 60, np.random.default_rng(0))
    assert radius(pool, picks.rows) <= 1.02 * radius(pool, whole.rows)


def test_the_default_in_parts_picks_about_what_it_picks_in_one() -> None:
    pool = make_pool(n=2000, n_clusters=30)
    parts = pick("default", pool, 60, n_parts=5).rows
    whole = find_strategy("default").run(pool, 60, np.random.default_rng(0)).rows
    assert np.isin(parts, whole).mean() > 0.8


def radius(pool: Pool, rows: Any) -> float:
    return float(to_distance(find_nearest(pool.vectors, np.union1d(rows, pool.labelled))[0]).max())


def test_coverage_in_parts_is_as_good_as_in_one() -> None:
    pool = make_pool(n=1500, n_clusters=40, n_labelled=0, k=32)
    whole = served(pool.vectors, find_strategy("facility-location").run(pool, 60, np.random.default_rng(0)).rows)
    parts = served(pool.vectors, pick("facility-location", pool, 60, n_parts=5).rows)
    random = served(pool.vectors, np.random.default_rng(0).choice(1500, 60, replace=False))
    assert parts > whole - 0.1 * (whole - random)


def served(vectors: FloatArray, rows: Any) -> float:
    return float((vectors @ vectors[rows].T).max(axis=1).sum())


def test_only_the_second_round_uses_the_journal() -> None:
    journal = _Counting()
    pick("sparse-coverage", make_pool(journal=journal), 20)
    assert (journal.n_read, journal.n_picks) == (1, 20)
    repeated = _Counting()
    pick("k-center", make_pool(journal=repeated), 20)
    assert repeated.n_read == 0


class _Counting:
    """Counts what a progress bar and a checkpoint would be asked for."""

    def __init__(self) -> None:
        self.n_read = self.n_picks = 0

    def read(self) -> State | None:
        self.n_read += 1
        return None

    def is_due(self) -> bool:
        return False

    def write(self, state: State) -> None:
        raise AssertionError(f"never due: {sorted(state)}")

    def advance(self, n_picks: int) -> None:
        self.n_picks += n_picks


def test_all_parts_compare_densities_by_the_same_sample() -> None:
    seen: list[FloatArray | None] = []

    def watch(run: Callable[[Part], Any], parts: Iterable[Part]) -> list[Any]:
        held = list(parts)
        seen.extend(part.pool.reference for part in held)
        return [run(part) for part in held]

    pool = make_pool()
    pick_in_parts(pool, Rule(find_strategy("default"), 20, neighbours=10), 4, watch)
    assert len(seen) >= 8
    assert all(one is not None and np.array_equal(one, np.asarray(pool.vectors)) for one in seen)
