"""BADGE against its definition: gradients written out, and the odds of plain k-means++."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from activesel.strategies import badge
from activesel.strategies.badge import _Gradients
from tests.strategies.pools import as_pool, make_pool, run, unit


def test_badge_distances_equal_materialised_gradients() -> None:
    pool = make_pool(n=80)
    assert pool.probs is not None
    one_hot = np.eye(4)[pool.probs.argmax(axis=1)]
    gradients = ((pool.probs - one_hot)[:, :, None] * pool.vectors[:, None, :]).reshape(80, -1).astype(np.float64)
    expected = ((gradients - gradients[7]) ** 2).sum(axis=1)
    gradients = _Gradients(pool)
    distance = gradients.of(slice(0, pool.n)).squared_distance(gradients.of(np.array([7])))[:, 0]
    assert distance.numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("rough_from", [1, 32])
def test_badge_draws_like_plain_k_means_plus_plus(rough_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lazy proposals and rough bounds must not bend the odds: the third pick's frequencies against the exact ones."""
    monkeypatch.setattr(badge, "ROUGH_FROM", rough_from)
    monkeypatch.setattr(badge, "PROPOSALS", 64)
    rng = np.random.default_rng(0)
    pool = as_pool(unit(rng.normal(size=(12, 5))), n_classes=3)
    gradients = _Gradients(pool)
    every = gradients.of(slice(0, pool.n))
    square = every.squared_distance(every).numpy().astype(np.float64)
    first = int(gradients.squared_norm.argmax())
    expected = np.zeros(12)
    for second, chance in enumerate(square[first] / square[first].sum()):
        nearest = np.minimum(square[first], square[second])
        expected += chance * nearest / nearest.sum()
    drawn = [int(run("badge", pool, 3, seed=seed).rows[2]) for seed in range(1000)]
    assert not {int(i) for i in np.flatnonzero(expected == 0)} & set(drawn)
    likely = expected > 0
    assert chisquare(np.bincount(drawn, minlength=12)[likely], 1000 * expected[likely]).pvalue > 0.01


def test_badge_starts_with_the_longest_gradient_and_has_no_centre_at_the_origin() -> None:
    """With a ghost centre at the origin the second pick would be drawn by gradient length, not by distance."""
    vectors = unit(np.array([[1.0, 0.0], [1.0, 1e-3], [0.0, 1.0]]))
    probs = np.array([[0.5, 0.5], [0.5, 0.5], [0.99, 0.01]], dtype=np.float32)
    pool = replace(
        as_pool(np.repeat(vectors, [1, 40, 1], axis=0), n_classes=2), probs=np.repeat(probs, [1, 40, 1], axis=0)
    )
    seconds = [int(run("badge", pool, 2, seed=seed).rows[1]) for seed in range(20)]
    assert seconds.count(41) >= 19, "40 near-copies of the first pick are almost at distance 0"


def test_badge_never_repeats_among_equal_gradients() -> None:
    """A known peer returns the same index twice."""
    vectors = np.tile(unit(np.ones((1, 8))), (30, 1))
    probs = np.tile(np.array([[0.6, 0.4]], dtype=np.float32), (30, 1))
    picks = run("badge", replace(as_pool(vectors, n_classes=2), probs=probs), 10)
    assert len(np.unique(picks.rows)) == 10
    assert any("random" in note for note in picks.notes)
