from __future__ import annotations

import numpy as np
import pytest

from synth.noise import POWER, noise_field, noise_line, noise_tile


@pytest.mark.parametrize("grade", list(POWER))
def test_tile_is_periodic_unit_noise(grade: str) -> None:
    tile = noise_tile(grade, 0)
    assert abs(float(tile.mean())) < 1e-3
    assert float(tile.std()) == pytest.approx(1, abs=1e-3)
    across_the_seam = np.abs(tile[0] - tile[-1]).mean()
    assert across_the_seam < 1.5 * np.abs(np.diff(tile, axis=0)).mean()


def test_clouds_are_smoother_than_grain() -> None:
    steps = {grade: float(np.abs(np.diff(noise_field(5, (64, 64), grade=grade))).mean()) for grade in POWER}
    assert steps["cloud"] < steps["mottle"] < steps["grain"]


def test_same_seed_same_bytes_other_seed_other_field() -> None:
    assert noise_field(9, (40, 30), zoom=1.7).tobytes() == noise_field(9, (40, 30), zoom=1.7).tobytes()
    others = [noise_field(seed, (40, 30)) for seed in range(0, 4_000_000, 200_001)]
    likeness = np.corrcoef([other.ravel() for other in others])
    assert np.abs(likeness - np.eye(len(others))).max() < 0.95


def test_tile_is_made_once() -> None:
    assert noise_tile("cloud", 3) is noise_tile("cloud", 3)


def test_line_has_the_length_asked_for() -> None:
    assert noise_line(3, 17, stretch=2.5).shape == (17,)
    assert noise_field(3, (5, 900)).shape == (5, 900)
