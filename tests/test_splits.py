"""Groups that never split, and sides that stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from activesel.splits import TEST, TRAIN, UNKNOWN, VALIDATION, commonest, deal_sides, join_groups, merge_sides


def test_join_groups_links_over_partitions() -> None:
    alike = np.array([0, 0, 1, 2, 3])
    parts = np.array([-1, 5, 5, -1, -1])
    assert join_groups(5, alike, parts).tolist() == [0, 0, 0, 1, 2]
    assert join_groups(3).tolist() == [0, 1, 2]
    assert join_groups(0, np.empty(0, np.int64)).tolist() == []


def test_a_class_of_three_groups_trains_and_tests() -> None:
    unknown = np.full(3, UNKNOWN)
    assert sorted(deal_sides(np.zeros(3, int), np.arange(3), unknown, (0.15, 0.15)).tolist()) == [TRAIN, TRAIN, TEST]


def test_shares_are_met() -> None:
    sides = deal_sides(np.zeros(200, int), np.arange(200), np.full(200, UNKNOWN), (0.15, 0.25))
    assert np.bincount(sides).tolist() == [120, 30, 50]


def test_a_side_that_is_to_have_nothing_gets_nothing() -> None:
    sides = deal_sides(np.zeros(50, int), np.arange(50), np.full(50, UNKNOWN), (0.2, 0.0))
    assert set(sides.tolist()) == {TRAIN, VALIDATION}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2)), min_size=1, max_size=40), st.integers(1, 9))
def test_what_is_known_stays_and_later_groups_change_nothing(rows: list[tuple[int, int]], seed: int) -> None:
    classes, known = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    sides = deal_sides(classes, order, known, (0.15, 0.15))
    assert (sides >= 0).all()
    assert (sides[known >= 0] == known[known >= 0]).all()
    again = deal_sides(np.append(classes, 0), np.append(order, len(rows)), np.append(sides, UNKNOWN), (0.15, 0.15))
    assert (again[:-1] == sides).all()


def test_merge_sides() -> None:
    assert merge_sides([VALIDATION, TRAIN, TEST]) == TRAIN
    assert merge_sides([VALIDATION, TEST]) == TEST
    assert merge_sides([]) == UNKNOWN


def test_commonest() -> None:
    assert commonest(np.array([1, 1, 0, 2]), np.array([0, 0, 0, 2]), 3).tolist() == [1, -1, 2]
