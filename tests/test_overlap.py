"""Drawing by chance: as many as needed, alike in every stratum, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.overlap import choose_gold, count_overlap, draw_stratified, hide_prelabels, mix_in


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_how_many_are_labelled_twice() -> None:
    assert count_overlap(5000, 0.1, 0.1, 0.5) == 500, "the share, where it is more than needed"
    assert count_overlap(500, 0.1, 0.1, 0.1) == 209
    assert count_overlap(500, 0.1, 0.1, 0.001) == 500, "never more than there are"
    assert count_overlap(500, 0.0, 0.1, 0.1) == 0


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=60), st.data())
def test_each_stratum_gets_its_share(strata: list[int], data: st.DataObject) -> None:
    codes = np.array(strata)
    n_wanted = data.draw(st.integers(0, len(codes)))
    rows = draw_stratified(codes, n_wanted, rng(1))
    assert len(set(rows.tolist())) == n_wanted
    for code in set(strata):
        fair = (codes == code).sum() * n_wanted / len(codes)
        assert abs((codes[rows] == code).sum() - fair) < 1 + 1e-9


def test_every_image_has_the_same_chance() -> None:
    codes = np.array([0] * 17 + [1] * 2 + [2])
    hits = np.zeros(len(codes))
    for seed in range(4000):
        hits[draw_stratified(codes, 5, rng(seed))] += 1
    np.testing.assert_allclose(hits / 4000, 0.25, atol=0.035)


def test_gold_takes_the_classes_in_turn_and_the_least_seen_first() -> None:
    classes, used = np.array([0, 0, 0, 0, 1, 1]), np.array([3, 0, 3, 3, 1, 0])
    rows = choose_gold(classes, used, 2, rng())
    assert sorted(rows.tolist()) == [1, 5]
    assert sorted(choose_gold(classes, used, 9, rng()).tolist()) == list(range(6))
    assert len(choose_gold(np.empty(0, np.int64), np.empty(0, np.int64), 3, rng())) == 0


def test_what_is_mixed_in_stands_anywhere() -> None:
    hits = sum(mix_in(8, 2, rng(seed)).astype(int) for seed in range(3000))
    np.testing.assert_allclose(hits / 3000, 0.2, atol=0.03)


def test_the_overlap_is_blind_and_counts_towards_the_share() -> None:
    overlap = np.arange(40) < 3
    hidden = hide_prelabels(overlap, 0.2, rng())
    assert hidden[:3].all()
    assert hidden.sum() == 8
    assert hide_prelabels(np.ones(4, bool), 0.2, rng()).sum() == 4


def test_more_than_there_are_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        draw_stratified(np.zeros(3, np.int64), 4, rng())
