"""Weights stand for copies: what is computed under them is what the copied images give."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.proof import Interval, reject_threshold
from activesel.resampling import (
    draw_blocks,
    draw_weights,
    fit_thresholds,
    interval_of,
    rank,
    share_above,
    strata_of,
    whole,
    widen_share,
)


@pytest.fixture
def images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """400 scores with ties, in 90 groups of different sizes."""
    return np.round(rng.random(400), 2), rng.integers(0, 90, 400)


def copies(scores: np.ndarray, groups: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.repeat(scores, weights[groups].astype(np.int64))


@pytest.mark.parametrize("false_rejects", [0.001, 0.02, 0.3])
def test_thresholds_and_shares_are_those_of_the_copies(
    images: tuple[np.ndarray, np.ndarray], rng: np.random.Generator, false_rejects: float
) -> None:
    scores, groups = images
    weights = draw_weights(np.zeros(90, np.int64), rng, 20)
    ranked = rank(scores, groups, np.ones(400, bool))
    thresholds = fit_thresholds(ranked, weights, false_rejects)
    shares = share_above(ranked, weights, thresholds)
    for row, threshold, share in zip(weights, thresholds, shares, strict=True):
        copied = copies(scores, groups, row)
        assert threshold == reject_threshold(copied, false_rejects)
        assert share == pytest.approx((copied > threshold).mean())
        assert share <= false_rejects


def test_a_long_list_is_read_to_its_end_where_the_threshold_lies_there() -> None:
    groups = np.zeros(2000, np.int64)
    groups[1000:] = 1  # all high scores are in a group that one draw lacks
    ranked = rank(np.linspace(0, 1, 2000), groups, np.ones(2000, bool))
    (threshold,) = fit_thresholds(ranked, np.array([[2.0, 0.0]], np.float32), 0.01)
    assert threshold == reject_threshold(np.repeat(np.linspace(0, 1, 2000)[:1000], 2), 0.01)


def test_without_good_images_everything_is_rejected() -> None:
    empty = rank(np.empty(0), np.empty(0, np.int64), np.empty(0, bool))
    assert fit_thresholds(empty, whole(1), 0.1).tolist() == [-np.inf]
    assert np.isnan(share_above(empty, whole(1), np.zeros(1))).all()


def test_each_stratum_is_drawn_as_often_as_it_is_large(rng: np.random.Generator) -> None:
    is_defect, is_calibration = np.array([1, 0, 0, 1], bool), np.array([0, 0, 1, 1], bool)
    strata = strata_of(np.arange(4).repeat(25), is_defect.repeat(25), is_calibration.repeat(25))
    assert strata.tolist() == [1, 0, 2, 3]
    many = np.array([0] * 30 + [1] * 20)
    blocks = list(draw_blocks(many, rng, 250))
    assert [len(block) for block in blocks] == [100, 100, 50]
    weights = np.concatenate(blocks)
    assert (weights[:, :30].sum(axis=1) == 30).all()
    assert (weights[:, 30:].sum(axis=1) == 20).all()
    assert weights.var() == pytest.approx(1, abs=0.1)


def test_groups_nobody_asks_about_only_take_their_share(rng: np.random.Generator) -> None:
    wanted = np.arange(1000) < 50
    weights = draw_weights(np.zeros(1000, np.int64), rng, 4000, wanted)
    assert (weights[:, 50:] == 0).all()
    full = draw_weights(np.zeros(1000, np.int64), rng, 4000)[:, :50]
    for mine, theirs in ((weights[:, :50].sum(axis=1), full.sum(axis=1)), (weights[:, 0], full[:, 0])):
        assert mine.mean() == pytest.approx(theirs.mean(), rel=0.05)
        assert mine.var() == pytest.approx(theirs.var(), rel=0.12)


def test_intervals() -> None:
    found = interval_of(0.5, np.linspace(0, 1, 101), 0.9)
    assert (found.value, found.low, found.high) == (0.5, pytest.approx(0.05), pytest.approx(0.95))
    assert interval_of(0.5, np.array([np.nan]), 0.9) == Interval(0.5, 0.5, 0.5)


def test_all_found_is_not_certain() -> None:
    sure = Interval(1.0, 1.0, 1.0)
    wide = widen_share(sure, np.ones(20, bool), np.arange(20), 0.95)
    assert wide.low == pytest.approx(0.839, abs=0.001)
    one_part = widen_share(sure, np.ones(20, bool), np.zeros(20, np.int64), 0.95)
    assert one_part.low < 0.25
    assert widen_share(sure, np.zeros(0, bool), np.zeros(0, np.int64), 0.95) == sure
