"""From boxes and points to masks on made-up defects; given masks are checked."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import SynthError
from synth.masks import check_mask, find_mask
from tests.synth.made import blob, overlap, stained, streak, surface

SHAPE = (120, 160)
DEFECTS = {
    "pit": blob(SHAPE, (60, 80), (9, 12)),
    "stain": blob(SHAPE, (50, 70), (25, 18)),
    "scratch": streak(SHAPE, (30, 40), (80, 90)),
    "at the edge": blob(SHAPE, (3, 80), (12, 12)),
}


def box_around(mask: np.ndarray, margin: int = 4) -> tuple[float, float, float, float]:
    ys, xs = np.nonzero(mask)
    return xs.min() - margin, ys.min() - margin, xs.max() + 1 + margin, ys.max() + 1 + margin


@pytest.mark.parametrize("name", DEFECTS)
@pytest.mark.parametrize("change", [-60, 35])
@pytest.mark.parametrize("colour", [False, True])
def test_box_to_mask(name: str, change: float, colour: bool) -> None:
    truth = DEFECTS[name]
    picture = stained(surface(SHAPE, grain=3, colour=colour), truth, change)
    assert overlap(find_mask(picture, box_around(truth)), truth) >= 0.6


def test_point_to_mask() -> None:
    truth = DEFECTS["pit"]
    assert overlap(find_mask(stained(surface(SHAPE), truth, -60), point=(60, 80)), truth) >= 0.6


def test_nothing_given_finds_the_only_defect() -> None:
    truth = DEFECTS["pit"]
    assert overlap(find_mask(stained(surface(SHAPE), truth, -60)), truth) >= 0.5


def test_nothing_given_and_nothing_there() -> None:
    with pytest.raises(SynthError, match=r"a\.png: no mask or box, and nothing stands out"):
        find_mask(surface(SHAPE), where="a.png")


def test_a_box_in_which_nothing_stands_out_is_trusted() -> None:
    found = find_mask(np.full((*SHAPE, 3), 90, np.uint8), (40, 30, 80, 60))
    assert 0.7 < found.sum() / (40 * 30) < 0.85  # the ellipse in the box


def test_a_box_beside_the_image() -> None:
    with pytest.raises(SynthError, match="the box misses the image"):
        find_mask(surface(SHAPE), (400, 30, 480, 60), where="a.png")


def test_masks_are_checked() -> None:
    picture = surface((20, 30))
    grey = np.zeros((20, 30), np.uint8)
    grey[5:9, 5:9], grey[4, 5:9] = 255, 40  # an anti-aliased edge
    assert check_mask(grey, picture, where="m.png").sum() == 16
    with pytest.raises(SynthError, match="another size"):
        check_mask(grey[1:], picture, where="m.png")
    with pytest.raises(SynthError, match="marks nothing"):
        check_mask(grey * 0, picture, where="m.png")
    with pytest.raises(SynthError, match="marks the whole image"):
        check_mask(grey * 0 + 1, picture, where="m.png")
