from __future__ import annotations

import numpy as np
import pytest

from synth.paths import fit
from synth.shapes import draw_outline, inside_px, shade
from synth.strokes import normals, paint, resample, taper


def test_a_line_of_three_pixels_covers_three_rows() -> None:
    points = resample([[10, 2], [10, 27]], smooth=False)
    painted = paint((20, 30), points, 3.0, 1.0)
    assert painted[9:12, 8:22].min() == pytest.approx(1.0, abs=1e-3)
    assert painted[7, 8:22].max() == 0
    assert painted[13, 8:22].max() == 0


def test_a_line_between_two_rows_is_shared_by_both() -> None:
    painted = paint((20, 30), resample([[10.5, 2], [10.5, 27]], smooth=False), 1.0, 1.0)
    assert painted[10, 8:22] == pytest.approx(painted[11, 8:22])
    assert 0.3 < painted[10, 15] < 0.7


def test_a_hair_is_fainter_than_a_pixel() -> None:
    points = resample([[10, 2], [10, 27]], smooth=False)
    assert paint((20, 30), points, 0.4, 1.0).max() == pytest.approx(0.4, abs=0.01)


def test_lines_may_leave_the_patch() -> None:
    assert paint((8, 8), resample([[-9, -9], [20, 20]], smooth=False), 2.0, 1.0).max() == pytest.approx(1.0)


def test_a_smooth_line_goes_through_its_points() -> None:
    control = np.array([[0.0, 0.0], [5.0, 10.0], [0.0, 20.0], [-5.0, 30.0]])
    curve = resample(control, smooth=True)
    for point in control:
        assert np.hypot(*(curve - point).T).min() < 0.3
    assert np.hypot(*np.diff(curve, axis=0).T).max() < 1.0


def test_normals_are_upright() -> None:
    turned = normals(resample([[0, 0], [0, 10]], smooth=False))
    assert np.allclose(turned, [[1.0, 0.0]] * len(turned))


def test_taper_ends_at_zero() -> None:
    factors = taper(11, (0.2, 0.2))
    assert factors[0] == factors[-1] == 0
    assert factors[5] == 1


def test_fit_shrinks_what_is_too_large() -> None:
    (line,), size = fit([np.array([[0.0, 0.0], [500.0, 100.0]])], margin=8, limit=(100, 100))
    assert 98 <= size[0] <= 100
    assert line.min() >= 7
    assert line[:, 0].max() <= 92


def test_outline_of_a_circle(rng: np.random.Generator) -> None:
    inside = inside_px((41, 41), (20, 20), draw_outline(rng, 10, 1.0, 0.0), rough_px=0)
    assert inside[20, 20] == pytest.approx(10, abs=0.01)
    assert inside[20, 30] == pytest.approx(0, abs=0.01)
    assert inside[20, 35] == pytest.approx(-5, abs=0.01)


def test_slope_to_the_light_is_bright() -> None:
    ramp = np.repeat(np.arange(20, dtype=np.float32)[None, :], 20, axis=0)  # rises to the right
    assert shade(ramp, np.pi)[10, 10] > 0.1  # light from the left falls on it
    assert shade(ramp, 0.0)[10, 10] < -0.1
    assert shade(np.zeros((9, 9), np.float32), 0.3, shine=1.0) == pytest.approx(0, abs=1e-6)
