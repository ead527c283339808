"""The search for a rare class: equal to its formula in plain numpy, and better than likeness where it has to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from activesel.records import Pool
from activesel.strategies import focus
from tests.strategies.pools import as_pool, make_pool, run, unit

Array = npt.NDArray[np.float64]


def plain_score(pool: Pool, shrinkage: float = 1.0, caution: float = 0.3) -> Array:
    """The formula, in float64."""
    assert pool.exemplars is not None
    x, e = pool.vectors.astype(np.float64), pool.exemplars.astype(np.float64)
    mean, covariance = x.mean(axis=0), np.cov(x.T, bias=True)
    inverse = np.linalg.inv(covariance + shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))

    def look(towards: Array) -> Array:
        raw = (x - mean) @ inverse @ (towards - mean).T
        return np.asarray(np.log(np.exp(raw / raw.std(axis=0)).mean(axis=1)))

    score = look(e)
    if pool.counterexamples is not None:
        score = score - caution * look(x[pool.counterexamples])
    return score


def test_equals_the_formula() -> None:
    pool = make_pool(n=400, n_labelled=0)
    score = plain_score(pool)
    picks = run("focus", pool, 50)
    assert picks.rows.tolist() == np.argsort(-score, kind="stable")[:50].tolist()
    assert np.log(picks.gain) == pytest.approx(score[picks.rows], abs=1e-3)


def test_counterexamples_push_away() -> None:
    pool = make_pool(n=400, n_labelled=30)
    pool = replace(pool, counterexamples=pool.labelled)
    score = plain_score(pool)
    score[pool.labelled] = -np.inf
    assert run("focus", pool, 50).rows.tolist() == np.argsort(-score, kind="stable")[:50].tolist()
    assert run("focus", pool, 50, caution=0.0).rows.tolist() != run("focus", pool, 50).rows.tolist()


def test_only_the_counterexamples_most_like_an_exemplar_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focus, "MOST_COUNTEREXAMPLES", 5)
    pool = make_pool(n=400, n_labelled=30)
    alone = plain_score(pool)[pool.labelled]
    hardest = pool.labelled[np.argsort(-alone, kind="stable")[:5]]
    few = run("focus", replace(pool, counterexamples=hardest), 40)
    assert run("focus", replace(pool, counterexamples=pool.labelled), 40).rows.tolist() == few.rows.tolist()


def test_finds_a_small_difference_that_cosine_drowns() -> None:
    """By hand: images vary widely along 8 axes; the rare ones differ along another, where all others agree."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(1020, 8)), 0.02 * rng.normal(size=(1020, 200))], axis=1)
    x[1000:, 20] += 0.8
    vectors = unit(x)
    pool = replace(as_pool(vectors[:1015], k=5), exemplars=vectors[1015:], labelled=np.empty(0, np.int64))
    found = set(run("focus", pool, 15).rows.tolist())
    assert found == set(range(1000, 1015))
    likeness = (pool.vectors @ vectors[1015:].T).max(axis=1)
    assert len(found & set(np.argsort(-likeness)[:15].tolist())) < 8


def test_both_kinds_of_exemplars_are_served() -> None:
    rng = np.random.default_rng(1)
    x = 0.15 * rng.normal(size=(530, 24))
    x[:, 0] += 1
    x[500:515, 1] += 0.9
    x[515:, 2] += 0.9
    vectors = unit(x)
    pool = replace(as_pool(vectors, k=5), exemplars=vectors[[500, 501, 502, 503, 515]], labelled=np.empty(0, np.int64))
    rows = run("focus", pool, 40).rows
    assert np.isin(np.arange(500, 515), rows).mean() >= 0.8
    assert np.isin(np.arange(515, 530), rows).mean() >= 0.8


def test_an_exemplar_like_everything_and_pools_without_variation() -> None:
    same = as_pool(unit(np.ones((12, 4))), k=3)
    assert run("focus", same, 12).rows.tolist() == list(range(12))
    zero = as_pool(np.zeros((6, 4), np.float32), k=3)
    assert len(run("focus", zero, 6).rows) == 6


def test_many_exemplars_are_sampled_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focus, "MOST_EXEMPLARS", 10)
    pool = make_pool(n=300, n_labelled=0)
    pool = replace(pool, exemplars=pool.vectors[:100])
    assert run("focus", pool, 20, seed=3).rows.tolist() == run("focus", pool, 20, seed=3).rows.tolist()
