"""Coverage, histograms, breakdowns and roles, by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.report.data import COVERED, LABELLED, PICKED, UNCOVERED, Coverage
from activesel.report.figures import (
    assign_roles,
    count_breakdown,
    coverage_curve,
    histogram_shares,
    median_of,
    summarise_coverage,
)


def test_coverage_by_hand() -> None:
    before = np.array([0.0, 0.2, 0.4, 0.8])
    after = np.array([0.0, 0.2, 0.0, 0.4])
    found = summarise_coverage(Coverage(0.3, after, before))
    assert (found.at_radius_before, found.at_radius_after) == (0.5, 0.75)
    assert found.uncovered == 0.25
    assert found.distances == ((0.5, 0.2, 0.0), (0.9, 0.8, 0.4), (0.99, 0.8, 0.4))
    assert found.radii[0] == 0
    assert found.radii[-1] == pytest.approx(0.8)
    assert not found.cold_start


def test_a_distance_equal_to_the_radius_is_covered() -> None:
    assert coverage_curve(np.array([0.3]), np.array([0.3])).tolist() == [1.0]


@pytest.mark.parametrize("before", [None, np.full(3, np.inf)])
def test_cold_start_covers_nothing_before(before: np.ndarray | None) -> None:
    found = summarise_coverage(Coverage(0.3, np.array([0.0, 0.1, 0.5]), before))
    assert found.cold_start
    assert found.at_radius_before == 0
    assert not found.before.any()
    assert found.at_radius_after == pytest.approx(2 / 3)
    assert [share for _, share, _ in found.distances] == [None, None, None]


def test_no_picks_and_no_labels_leave_infinite_distances() -> None:
    found = summarise_coverage(Coverage(0.3, np.full(5, np.inf)))
    assert found.uncovered == 1
    assert found.distances == ((0.5, None, None), (0.9, None, None), (0.99, None, None))


def test_an_empty_pool_is_covered_by_nothing() -> None:
    assert summarise_coverage(Coverage(0.3, np.zeros(0))).at_radius_after == 0


distances = st.lists(st.floats(0, 2, width=32) | st.just(np.inf), min_size=1, max_size=50)


@given(distances, st.floats(0.01, 1))
def test_curves_rise_and_picks_never_lower_them(values: list[float], radius: float) -> None:
    before = np.array(values)
    after = np.minimum(before, np.where(np.arange(len(before)) % 3 == 0, 0.0, np.inf))
    found = summarise_coverage(Coverage(radius, after, before))
    assert (np.diff(found.before) >= 0).all()
    assert (found.after >= found.before).all()
    assert 0 <= found.at_radius_before <= found.at_radius_after <= 1
    assert found.at_radius_after == np.mean(after <= radius)


def test_histogram_by_hand() -> None:
    shares = histogram_shares(np.array([0.0, 0.04, 1.0, np.nan, 0.5]), n_bins=2)
    assert shares.tolist() == [0.5, 0.5]
    assert histogram_shares(np.array([np.nan])).sum() == 0
    assert median_of(np.array([np.nan])) is None
    assert median_of(np.array([0.2, np.nan, 0.4])) == pytest.approx(0.3)


def test_breakdown_by_hand() -> None:
    table = count_breakdown(
        "station", np.array([0, 1, 1, -1, 1]), ["a", "b", "c"], labelled=np.array([0]), picked=np.array([1, 3])
    )  # fmt: skip
    assert [(r.value, r.pool, r.labelled, r.picked) for r in table.rows] == [
        ("b", 3, 0, 1),
        ("(none)", 1, 0, 1),
        ("a", 1, 1, 0),
    ]


def test_roles_by_hand() -> None:
    roles = assign_roles(
        np.array([0.0, 0.3, 0.31, np.inf, 0.0]), 0.3, labelled=np.array([0]), picked=np.array([4])
    )  # fmt: skip
    assert roles.tolist() == [LABELLED, COVERED, UNCOVERED, UNCOVERED, PICKED]
