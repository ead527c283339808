"""Overlap and matching of shapes by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from activesel.annotations import Box, Mask, Polygon
from activesel.matching import match_shapes, measure_iou, summarise

SQUARE = Box("pit", 10, 10, 30, 30)


def as_polygon(box: Box) -> Polygon:
    return Polygon(box.name, ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)))


def as_mask(box: Box) -> Mask:
    width, height = int(box.x1 - box.x0), int(box.y1 - box.y0)
    return Mask(box.name, int(box.x0), int(box.y0), width, height, (0, width * height))


@pytest.mark.parametrize("pair", [*itertools.product((lambda box: box, as_polygon, as_mask), repeat=2)])
def test_the_same_overlap_however_it_is_drawn(pair: tuple) -> None:
    first, second = pair
    assert measure_iou(first(SQUARE), second(SQUARE)) == pytest.approx(1, abs=0.01)
    assert measure_iou(first(SQUARE), second(Box("pit", 20, 10, 40, 30))) == pytest.approx(1 / 3, abs=0.01)
    assert measure_iou(first(SQUARE), second(Box("pit", 30, 10, 40, 30))) == 0


def test_a_triangle_is_half_its_box() -> None:
    assert measure_iou(Polygon("pit", ((0, 0), (100, 0), (0, 100))), Box("pit", 0, 0, 100, 100)) == pytest.approx(
        0.5, abs=0.01
    )


def test_huge_shapes_take_no_memory() -> None:
    wide = Polygon("pit", ((0, 0), (1e9, 0), (1e9, 1e9)))
    assert 0 < measure_iou(wide, Box("pit", 0, 0, 1e9, 1e9)) < 1


def test_one_to_one_by_the_largest_sum() -> None:
    first = [Box("a", 0, 0, 10, 10), Box("b", 0, 3, 10, 13)]
    second = [Box("a", 0, 2, 10, 12), Box("c", 50, 50, 60, 60)]
    matched = match_shapes(first, second, 0.5)
    assert [(i, j) for i, j, _ in matched.pairs] == [(1, 0)]
    assert not matched.is_same
    assert match_shapes([], second, 0.5).pairs == ()
    assert match_shapes([], [], 0.5).is_same


def test_sums_by_hand() -> None:
    moved = Box("crack", 12, 10, 32, 30)
    found = summarise([([SQUARE], [moved]), ([SQUARE], []), ([], [])], 0.5)
    assert (found.n_images, found.n_first, found.n_second, found.n_matched) == (3, 2, 1, 1)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.mean_iou == pytest.approx(18 / 22)
    assert found.names == (("pit", "crack"),)
    assert summarise([], 0.5).f1 is None


def test_a_mask_is_its_runs() -> None:
    """Columns 1 and 2 of 4, two rows: against the box around them."""
    mask = Mask("pit", 0, 0, 4, 2, (1, 2, 2, 2, 1))
    assert measure_iou(mask, Box("pit", 1, 0, 3, 2)) == pytest.approx(1, abs=0.01)
    assert np.isclose(measure_iou(mask, Box("pit", 0, 0, 4, 2)), 0.5, atol=0.01)
