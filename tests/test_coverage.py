"""Regions by hand: points on a circle, whose cosines are those of angles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.coverage import describe_regions, is_covered, split_regions, typical_radius


def at(*degrees: float) -> npt.NDArray[np.float32]:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_regions_of_two_crowds_and_a_loner() -> None:
    vectors = at(0, 1, 2, 90, 91, 180)
    centres, region = split_regions(vectors, radius=0.01)
    assert len(centres) == 3
    assert region[0] == region[1] == region[2]
    assert region[3] == region[4]
    assert len({int(region[0]), int(region[3]), int(region[5])}) == 3
    assert np.allclose(centres[region[1]], at(1)[0], atol=1e-3)


def test_no_more_regions_than_asked_for() -> None:
    assert len(split_regions(at(0, 60, 120, 180, 240), radius=0.01, most=2)[0]) == 2
    assert len(split_regions(at(0, 0, 0), radius=0.0)[0]) == 1, "equal images are one region"


def test_counts_of_a_region() -> None:
    """Of the class: rows 1, 2, 4, 5 of the vectors. 1 is labelled and missed; 2 lies near it; 4, 5 are far from all."""
    vectors = at(10, 0, 1, 50, 90, 91)
    rows = np.array([1, 2, 4, 5])
    found = describe_regions(
        vectors, rows, 0.01, is_labelled=np.array([True, False, False, False]),
        near=np.array([True, True, False, False]), missed=np.array([True, False, False, False]),
    )  # fmt: skip
    first, second = found
    assert sorted(first.rows.tolist()) == [1, 2]
    assert (first.n_labelled, first.n_pool, first.n_near, first.n_missed, first.covered) == (1, 1, 1, 1, 1.0)
    assert sorted(second.rows.tolist()) == [4, 5]
    assert (second.n_labelled, second.n_pool, second.n_near, second.n_missed, second.covered) == (0, 2, 0, 0, 0.0)
    nothing = np.empty(0, bool)
    assert describe_regions(vectors, rows[:0], 0.01, is_labelled=nothing, near=nothing, missed=nothing) == ()


def test_is_covered() -> None:
    assert is_covered(np.array([1.0, 0.9, 0.89, -1.0]), 0.1).tolist() == [True, True, False, False]


def test_typical_radius() -> None:
    circle = at(*np.linspace(0, 360, 1000, endpoint=False))
    expected = 1 - np.cos(np.radians(360 / 1000 * 16))  # 16 neighbours on either side
    assert abs(typical_radius(circle) - expected) < 1e-5
    assert typical_radius(at(5)) == 0.0
    assert typical_radius(at(5, 5, 5)) < 1e-6


def test_radius_of_a_large_pool_is_that_of_all_of_it() -> None:
    whole = at(*np.random.default_rng(0).uniform(0, 360, 8000))
    assert 0.5 < typical_radius(whole) / (1 - np.cos(np.radians(360 / 8000 * 16))) < 2
