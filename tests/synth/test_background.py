"""The surface under a defect: exact on planes, close on shading and grain, at edges and for large holes."""

from __future__ import annotations

import numpy as np
import pytest

from synth.background import MARGIN_PX, fill_background, grow, solve_membrane
from tests.synth.made import blob, stained, streak, surface


def test_a_membrane_of_a_plane_is_the_plane() -> None:
    y, x = np.mgrid[0:30, 0:40].astype(np.float32)
    plane = np.repeat((2 * x + y)[:, :, None], 3, 2)
    hole = blob((30, 40), (15, 20), (8, 8))
    assert np.abs(solve_membrane(np.where(hole[:, :, None], 0, plane), hole) - plane).max() < 1e-3


@pytest.mark.parametrize("centre", [(40, 60), (2, 60), (40, 1), (79, 119)])
def test_the_defect_is_gone_and_the_rest_untouched(centre: tuple[float, float]) -> None:
    ground, mask = surface((80, 120)), blob((80, 120), centre, (12, 16))
    picture = stained(ground, mask, -70)
    filled = fill_background(picture, mask)
    assert np.abs(filled[mask].mean() - ground[mask].mean()) < 1.5
    assert np.array_equal(filled[~grow(mask, MARGIN_PX)], picture[~grow(mask, MARGIN_PX)])


def test_a_hole_of_half_the_image_follows_the_shading() -> None:
    ground = surface((300, 400), grain=1)
    mask = blob((300, 400), (150, 200), (120, 150))
    filled = fill_background(stained(ground, mask, 60), mask)
    assert np.abs(filled[mask] - ground[mask].astype(float)).mean() < 2


def test_nothing_known_gives_the_median() -> None:
    filled = fill_background(surface((20, 20)), np.ones((20, 20), bool))
    assert np.ptp(filled) == 0


def test_the_parts_edge_goes_on_below_a_defect_that_ends_there() -> None:
    picture = surface((80, 80), level=150, grain=1)
    picture[60:] = 20
    mask = streak((80, 80), (20, 40), (61, 40), width=4)
    filled = fill_background(stained(picture, mask, -60), mask)
    hole = grow(mask, MARGIN_PX)
    assert np.abs(filled[:58] - 150)[hole[:58]].max() < 12  # not darkened from below
    assert np.abs(filled[61:] - 20)[hole[61:]].max() < 12


def test_streaks_go_on_too() -> None:
    picture = surface((80, 80), level=150, grain=1)
    picture[:, 38:42] = 190
    mask = blob((80, 80), (40, 40), (12, 9))
    filled = fill_background(stained(picture, mask, -60), mask)
    assert filled[40, 40].mean() - filled[40, 33].mean() > 25
