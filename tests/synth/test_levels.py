"""The small sums, by hand and against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from synth.levels import grey, middle, peak, rough_median, spread

LEVELS = np.random.default_rng(0).uniform(-50, 255, (7, 5, 3)).astype(np.float32)


@pytest.mark.parametrize("levels", [LEVELS, LEVELS[:, ::-1], LEVELS[1:4, 2:4], LEVELS[:1, :1]])
def test_over_the_channels(levels: np.ndarray) -> None:
    assert np.array_equal(peak(levels), levels.max(2))
    assert np.abs(grey(np.ascontiguousarray(levels)) - levels.mean(2)).max() < 1e-4
    assert np.array_equal(spread(levels[:, :, 1].copy()), np.repeat(levels[:, :, 1:2], 3, 2))


def test_the_middle_is_a_value() -> None:
    assert middle(np.array([5, 1, 3], np.float32)) == 3
    assert middle(np.array([4, 1, 2, 3], np.float32)) == 3
    assert rough_median(np.arange(10_000, dtype=np.float32)) == pytest.approx(5000, abs=10)
