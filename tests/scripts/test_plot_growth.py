"""The growth plot: slopes, scales, and an SVG that any reader can parse."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest
from plot_growth import Curve, decades, draw, name_count, place_labels, read_curves


def test_slope_by_hand() -> None:
    assert Curve("a", (10, 100, 1000), (3, 30, 300)).slope == pytest.approx(1.0)
    assert Curve("a", (10, 1000), (1, 10)).slope == pytest.approx(0.5)
    assert math.isnan(Curve("a", (10,), (1,)).slope)


def test_curves_leave_out_what_did_not_finish() -> None:
    results = [
        {"section": "growth", "name": "default", "pool": {"n": n}, "seconds": n / 10, "dnf": dnf}
        for n, dnf in ((300, None), (100, None), (900, "more than 600 s"))
    ]
    results.append({"section": "scale", "name": "default", "pool": {"n": 50}, "seconds": 1.0, "dnf": None})
    assert read_curves(results, "seconds") == [Curve("default", (100, 300), (10.0, 30.0))]


def test_decades_and_counts() -> None:
    assert decades([100, 1000]) == (2, 3)
    assert decades([5]) == (0, 1)
    assert decades([1]) == (0, 1)
    assert [name_count(power) for power in (2, 3, 5, 7, 9)] == ["100", "1k", "100k", "10M", "1G"]


def test_labels_do_not_overlap() -> None:
    placed = place_labels([100, 104, 102], apart=30)
    assert sorted(placed) == [placed[0], placed[2], placed[1]]
    assert min(b - a for a, b in zip(sorted(placed), sorted(placed)[1:], strict=False)) >= 30


def test_svg_is_well_formed_and_labelled() -> None:
    seconds = [Curve("default <1>", (1e5, 1e6), (10, 100)), Curve("k-center", (1e5, 1e6), (2, 8))]
    svg = draw(seconds, seconds)
    texts = ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("text")]
    assert "default <1>n^1.00" in texts
    assert "k-centern^0.60" in texts
    assert "100k" in texts
    assert "prefers-color-scheme: dark" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_one_point_can_be_drawn() -> None:
    ElementTree.fromstring(draw([Curve("a", (1000,), (1,))], [Curve("a", (1000,), (0.5,))]))
