"""Bounds that hold whenever somebody looks, and that close in."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.sequential import bound_mean

ERROR = 0.05


@pytest.mark.parametrize(
    ("name", "draw", "mean"),
    [
        ("coin", lambda rng, n: (rng.random(n) < 0.5).astype(float), 0.5),
        ("rare", lambda rng, n: (rng.random(n) < 0.03).astype(float), 0.03),
        ("spread", lambda rng, n: rng.beta(2, 5, n), 2 / 7),
        ("corner", lambda rng, n: rng.beta(10, 0.5, n), 10 / 10.5),
    ],
)
def test_the_mean_is_inside_at_every_look(name: str, draw, mean: float) -> None:  # type: ignore[no-untyped-def]
    rng, misses = np.random.default_rng(0), 0
    for _ in range(400):
        bounds = bound_mean(draw(rng, 150), error=ERROR)
        misses += bool(((bounds.low > mean) | (bounds.high < mean)).any())
    assert misses / 400 <= ERROR, name


def test_looking_often_at_a_fixed_interval_would_be_wrong() -> None:
    """The test above can fail: the interval for one look is left by far more than 5 %."""
    rng, misses = np.random.default_rng(0), 0
    for _ in range(200):
        x = (rng.random(150) < 0.5).astype(float)
        n = np.arange(1, 151)
        means = np.cumsum(x) / n
        misses += bool((np.abs(means - 0.5) > 1.96 * np.sqrt(0.25 / n))[10:].any())
    assert misses / 200 > 0.15


def test_bounds_close_in_and_never_open() -> None:
    x = np.random.default_rng(1).beta(5, 5, 2000)
    bounds = bound_mean(x, error=ERROR)
    assert (np.diff(bounds.low) >= 0).all()
    assert (np.diff(bounds.high) <= 0).all()
    assert bounds.high[-1] - bounds.low[-1] < 0.03
    assert bounds.low[-1] < 0.5 < bounds.high[-1]


def test_values_may_have_another_range() -> None:
    x = np.random.default_rng(2).random(300)
    plain, wide = bound_mean(x, error=ERROR), bound_mean(2 * x - 1, error=ERROR, low=-1, high=1)
    assert np.allclose(2 * plain.low - 1, wide.low)
    with pytest.raises(AssertionError):
        bound_mean(2 * x, error=ERROR)


def test_without_values_there_are_no_bounds() -> None:
    assert len(bound_mean(np.empty(0), error=ERROR).low) == 0


def test_what_is_constant_is_soon_known() -> None:
    bounds = bound_mean(np.zeros(200), error=ERROR)
    assert bounds.low[-1] == 0
    assert bounds.high[-1] < 0.06
