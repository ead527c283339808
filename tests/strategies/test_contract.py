"""What every strategy must hold, whatever it prefers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activesel.records import Quota
from activesel.strategies import find_strategy, strategy_names
from tests.strategies.pools import as_pool, make_pool, run, unit

ALL = strategy_names()


def test_every_promised_name_is_there() -> None:
    promised = (
        "badge cluster-margin default entropy exemplars facility-location focus k-center least-confidence margin "
        "max-herding power-bald probcover random sparse-coverage typiclust uncertainty-herding weighted-k-center"
    )
    assert " ".join(sorted(ALL)) == promised


@pytest.mark.parametrize("name", ALL)
class TestEveryStrategy:
    def test_picks_the_budget_without_repeats_or_labelled_rows(self, name: str) -> None:
        pool = make_pool()
        picks = run(name, pool, 30)
        assert picks.rows.dtype == np.int64
        assert picks.gain.shape == (30,)
        assert len(np.unique(picks.rows)) == 30
        assert not np.isin(picks.rows, pool.labelled).any()

    def test_same_seed_same_picks(self, name: str) -> None:
        pool = make_pool()
        assert run(name, pool, 25, seed=3).rows.tolist() == run(name, pool, 25, seed=3).rows.tolist()

    def test_stays_inside_the_candidates(self, name: str) -> None:
        pool = make_pool()
        allowed = np.zeros(pool.n, bool)
        allowed[50:120] = True
        picks = run(name, replace(pool, candidates=allowed), 20)
        assert len(picks.rows) == 20
        assert ((picks.rows >= 50) & (picks.rows < 120)).all()

    def test_budget_equal_to_the_pool_takes_every_row(self, name: str) -> None:
        pool = make_pool(n=60)
        open_rows = np.setdiff1d(np.arange(60), pool.labelled)
        assert np.sort(run(name, pool, len(open_rows)).rows).tolist() == open_rows.tolist()

    def test_cold_start_without_labels(self, name: str) -> None:
        pool = make_pool(n_labelled=0)
        if not find_strategy(name).needs & {"probs", "uncertainty", "mutual_information", "exemplars"}:
            pool = replace(pool, probs=None, uncertainty=None, mutual_information=None)
        assert len(np.unique(run(name, pool, 20).rows)) == 20

    def test_one_image(self, name: str) -> None:
        assert run(name, as_pool(unit(np.ones((1, 4)))), 1).rows.tolist() == [0]

    def test_exact_duplicates_and_zero_vectors(self, name: str) -> None:
        vectors = np.repeat(unit(np.random.default_rng(0).normal(size=(6, 8))), 5, axis=0)
        vectors[:3] = 0.0
        picks = run(name, as_pool(vectors), 12)
        assert len(np.unique(picks.rows)) == 12
        assert np.isfinite(picks.gain[1:]).all()

    def test_float16_vectors_pick_without_error(self, name: str) -> None:
        pool = make_pool()
        assert len(run(name, replace(pool, vectors=pool.vectors.astype(np.float16)), 10).rows) == 10

    def test_budget_above_the_dimension(self, name: str) -> None:
        assert len(run(name, make_pool(n=120, d=8), 80).rows) == 80

    def test_last_rows_can_be_picked(self, name: str) -> None:
        """A known peer drops the last n mod 500 rows."""
        pool = make_pool(n=503, n_labelled=0)
        last = np.zeros(503, bool)
        last[500:] = True
        assert np.sort(run(name, replace(pool, candidates=last), 3).rows).tolist() == [500, 501, 502]

    def test_cap_per_group(self, name: str) -> None:
        codes = np.arange(200) // 10
        quota = Quota("group", codes, np.full(20, 1), np.zeros(20, int))
        picks = run(name, make_pool(n_labelled=0, quotas=(quota,)), 20)
        assert np.sort(codes[picks.rows]).tolist() == list(range(20))

    def test_shortfall_under_a_cap_is_said(self, name: str) -> None:
        quota = Quota("station", np.zeros(200, int), np.array([7]), np.array([0]))
        picks = run(name, make_pool(n_labelled=0, quotas=(quota,)), 20)
        assert len(picks.rows) == 7
        assert any("only 7 of 20" in note and "station" in note for note in picks.notes)

    def test_minimum_per_code(self, name: str) -> None:
        codes = np.where(np.arange(200) < 6, 0, 1)
        quota = Quota("station", codes, np.array([99, 99]), np.array([4, 0]))
        picks = run(name, make_pool(n_labelled=0, quotas=(quota,)), 20)
        assert len(picks.rows) == 20
        assert (codes[picks.rows] == 0).sum() >= 4

    def test_spends_at_most_the_budget_in_cost(self, name: str) -> None:
        cost = np.random.default_rng(0).uniform(1, 9, size=200)
        picks = run(name, make_pool(n_labelled=0, cost=cost), 50)
        spent = cost[picks.rows].sum()
        assert 50 - cost.max() < spent <= 50 + 1e-6

    def test_labels_change_nothing_global(self, name: str) -> None:
        pool = make_pool()
        before = np.random.get_state()[1].copy()  # noqa: NPY002 - the very thing that must not move
        candidates = pool.candidates.copy()
        run(name, pool, 10)
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
        assert (pool.candidates == candidates).all()

    def test_documents_itself(self, name: str) -> None:
        strategy = find_strategy(name)
        assert strategy.summary.endswith(".") or strategy.summary.endswith(":") or len(strategy.summary) > 20
        assert strategy.lead
