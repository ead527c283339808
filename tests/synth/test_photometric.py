"""Photometric changes: seeded, the same for patch and ground, as wide and as frequent as said."""

from __future__ import annotations

import numpy as np
import pytest

from synth.photometric import BRIGHTNESS, CONTRAST, GAMMA, LIKELY, RARELY, draw_change, vary


def test_patch_and_ground_change_alike_and_by_seed() -> None:
    ground = np.full((6, 6, 3), 120, np.float32)
    seen = set()
    for seed in range(8):
        patch, changed = vary(ground, ground, seed)
        np.testing.assert_array_equal(patch, changed)
        np.testing.assert_array_equal(changed, vary(ground, ground, seed)[1])
        seen.add(round(float(changed[0, 0, 0]), 3))
    assert len(seen) > 3


def test_a_change_by_hand() -> None:
    seed = next(n for n in range(100) if draw_change(n)[2] != 1 and draw_change(n)[0] != 1)
    contrast, brightness, gamma = draw_change(seed)
    patch, ground = vary(np.full((2, 3, 3), 200, np.float32), np.full((2, 3, 3), 100, np.float32), seed)
    for changed, level in ((patch, 200), (ground, 100)):
        wanted = 255 * ((contrast * level + brightness * 255) / 255) ** gamma
        assert changed[1, 2, 0] == pytest.approx(wanted, abs=0.01)


def test_changes_are_as_frequent_and_as_wide_as_said() -> None:
    drawn = np.array([draw_change(seed) for seed in range(2000)])
    assert (drawn[:, 0] != 1).mean() == pytest.approx(LIKELY, abs=0.04)
    assert (drawn[:, 2] != 1).mean() == pytest.approx(RARELY, abs=0.04)
    widest = np.abs(drawn - [1, 0, 1]).max(0)
    assert np.all(widest <= [CONTRAST, BRIGHTNESS, GAMMA])
    assert np.all(widest > 0.95 * np.array([CONTRAST, BRIGHTNESS, GAMMA]))


def test_levels_stay_within_black_and_white() -> None:
    ends = np.array([0, 255], np.float32).reshape(1, 2, 1).repeat(3, 2)
    changed = np.stack([vary(ends, ends, seed)[0] for seed in range(40)])
    assert np.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= 255.01
