"""Grain is measured deaf to defects, and brought to the host's."""

from __future__ import annotations

import numpy as np
import pytest

from synth.grain import drop_grain, high_pass, match_grain, measure_grain
from tests.synth.made import blob, stained, surface

SHAPE = (120, 120)


def levels(grain: float, seed: int = 0) -> np.ndarray:
    return surface(SHAPE, grain=grain, seed=seed).astype(np.float32)


def test_grain_grows_in_proportion_and_a_defect_does_not_count() -> None:
    fine, coarse = measure_grain(levels(3)), measure_grain(levels(9))
    assert coarse / fine == pytest.approx(3, rel=0.1)
    mask = blob(SHAPE, (60, 60), (15, 15))
    assert measure_grain(stained(surface(SHAPE, grain=3), mask, -80).astype(np.float32)) == pytest.approx(fine, rel=0.1)


@pytest.mark.parametrize(("own", "hosts"), [(2, 8), (8, 2), (5, 5)])
def test_matched_to_the_host(own: float, hosts: float) -> None:
    picture, host = levels(own), levels(hosts, seed=1)
    matched = match_grain(picture, measure_grain(picture), host, measure_grain(host))
    assert measure_grain(matched) == pytest.approx(measure_grain(host), rel=0.25)


def test_grain_is_dropped_and_the_defect_kept() -> None:
    ground = surface(SHAPE, grain=5)
    mask = blob(SHAPE, (60, 60), (6, 30))
    residual = stained(ground, mask, -60).astype(np.float32) - ground.mean((0, 1))
    kept = drop_grain(residual, measure_grain(ground.astype(np.float32)))
    away = np.s_[:40, :]
    assert high_pass(kept)[away].std() < 0.5 * high_pass(residual)[away].std()
    assert kept[mask].mean() == pytest.approx(residual[mask].mean(), rel=0.03)
    edge = np.abs(np.diff(kept[:, 60, 0])).max()
    assert edge > 0.8 * np.abs(np.diff(residual[:, 60, 0])).max()
