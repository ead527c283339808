"""Geometry of the charts and the layers of the map."""

from __future__ import annotations

import re

import numpy as np
import pytest

from activesel.report.charts import MAX_CLASS_LAYERS, draw_coverage, draw_histogram, map_layers, map_payload, nice_ticks
from activesel.report.data import COVERED, LABELLED, PICKED, UNCOVERED, Coverage, MapPoints, PickEntry, ScoreSample
from activesel.report.figures import summarise_coverage


@pytest.mark.parametrize("widest", [0.003, 0.07, 0.31, 0.64, 1.0, 1.99])
def test_ticks_are_few_round_and_inside(widest: float) -> None:
    ticks = nice_ticks(widest)
    assert 3 <= len(ticks) <= 7
    assert ticks[0] == 0
    assert ticks[-1] <= widest
    assert all(len(f"{tick:g}") <= 6 for tick in ticks)


def test_coverage_chart_ends_at_full_coverage() -> None:
    chart = draw_coverage(summarise_coverage(Coverage(0.2, np.array([0.0, 0.1]), np.array([0.1, 0.4]))))
    assert chart.after.endswith(f"{chart.right:.1f},{chart.top:.1f}")
    assert chart.left < chart.radius_x < chart.right
    assert chart.after_y < chart.before_y, "up is smaller in SVG"
    assert chart.before is not None


def test_coverage_chart_of_zero_distances_has_no_nan() -> None:
    chart = draw_coverage(summarise_coverage(Coverage(0.0, np.zeros(3))))
    assert "nan" not in chart.after
    assert chart.before is None


def test_histogram_fills_its_height_and_skips_unknown_scores() -> None:
    chart = draw_histogram(ScoreSample("margin", np.array([0.1, 0.9]), np.array([0.9])))
    assert chart is not None
    assert min(float(y) for y in re.findall(r"V([\d.]+)", chart.picked)) == 8.0
    assert chart.picked_median == pytest.approx(0.9 * chart.width)
    assert draw_histogram(ScoreSample("bald", np.full(3, np.nan), np.zeros(0))) is None


def points(roles: list[int], ranks: list[int], classes: list[int], names: tuple[str, ...]) -> MapPoints:
    xy = np.zeros((len(roles), 2), dtype=np.float32)
    return MapPoints(xy, np.array(roles), np.array(ranks), np.array(classes), names)


def test_layers_by_hand() -> None:
    roles = [COVERED, UNCOVERED, LABELLED, LABELLED, PICKED, PICKED]
    given = points(roles, [0, 0, 0, 0, 1, 2], [-1, -1, 0, -1, -1, -1], ("crack",))
    picks = [PickEntry(1, "a", "a.png", ""), PickEntry(2, "b", "b.png", "", kind="evaluation")]
    layers, of_point = map_layers(given, picks)
    assert [layer.text for layer in layers] == [
        "covered", "uncovered", "crack", "labelled, other", "picked", "for evaluation",
    ]  # fmt: skip
    assert of_point.tolist() == [0, 1, 2, 3, 4, 5]
    assert all(layer.count == 1 for layer in layers)


def test_rare_classes_share_a_layer() -> None:
    n = MAX_CLASS_LAYERS + 3
    classes = [code for code in range(n) for _ in range(1 if code < 3 else 2)]
    given = points([LABELLED] * len(classes), [0] * len(classes), classes, tuple(f"c{i}" for i in range(n)))
    layers, of_point = map_layers(given, [])
    assert [layer.text for layer in layers] == [f"c{i}" for i in range(3, n)] + ["labelled, other"]
    assert [int(of_point[i]) for i in range(3)] == [MAX_CLASS_LAYERS] * 3


def test_payload_is_whole_numbers() -> None:
    given = MapPoints(np.array([[0.0, 1.0]], dtype=np.float32), np.array([COVERED]), np.array([0]), np.array([-1]))
    layers, of_point = map_layers(given, [])
    payload = map_payload(given, layers, of_point)
    assert (payload["x"], payload["y"], payload["layer"]) == ([0], [10_000], [0])


def test_mismatched_columns_are_refused() -> None:
    with pytest.raises(AssertionError, match="2 points"):
        MapPoints(np.zeros((2, 2), dtype=np.float32), np.zeros(3), np.zeros(2), np.zeros(2))  # type: ignore[arg-type]
