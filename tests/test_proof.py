"""Intervals against scipy and by hand; recall at a false-reject rate; folds that never split a group."""

from __future__ import annotations

import math

import numpy as np
import pytest

from activesel.proof import (
    deal_group_folds,
    images_needed,
    lower_bound,
    measure_recall,
    most_shown,
    reject_threshold,
    wilson,
)


@pytest.mark.parametrize(("found", "tested"), [(0, 5), (1, 1), (8, 10), (57, 59), (300, 300)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_intervals_are_scipys(found: int, tested: int, confidence: float) -> None:
    from scipy.stats import binomtest

    theirs = binomtest(found, tested).proportion_ci(confidence, method="wilson")
    ours = wilson(found, tested, confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    exact = binomtest(found, tested, alternative="greater").proportion_ci(confidence, method="exact")
    assert lower_bound(found, tested, confidence) == pytest.approx(exact.low, abs=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_a_proof_without_a_miss_is_a_logarithm(share: float) -> None:
    assert images_needed(share, 0.95) == math.ceil(math.log(0.05) / math.log(share))


@pytest.mark.parametrize("misses", [0, 1, 3])
def test_one_image_fewer_shows_less(misses: int) -> None:
    n = images_needed(0.9, 0.95, misses)
    assert n is not None
    assert lower_bound(n - misses, n, 0.95) >= 0.9 > lower_bound(n - 1 - misses, n - 1, 0.95)


def test_what_no_number_can_show() -> None:
    assert images_needed(0.9999999, 0.95) is None
    assert most_shown(0, 0.95) == 0.0
    assert most_shown(59, 0.95) >= 0.95 > most_shown(58, 0.95)


@pytest.mark.parametrize(
    ("false_rejects", "threshold"), [(0.01, 0.9), (0.24, 0.9), (0.25, 0.3), (0.5, 0.2), (1.0, 0.1)]
)
def test_threshold_by_hand(false_rejects: float, threshold: float) -> None:
    scores = np.array([0.3, 0.9, 0.1, 0.2])
    assert reject_threshold(scores, false_rejects) == threshold
    assert (scores > threshold).mean() <= false_rejects


def test_without_good_images_everything_is_rejected() -> None:
    assert reject_threshold(np.empty(0), 0.01) == -math.inf


def test_a_part_counts_once() -> None:
    """Nine pictures of one part that is found, and one of each of two that are not: a third, not nine of eleven."""
    found = np.array([True] * 9 + [False, False])
    recall = measure_recall(found, np.array([7] * 9 + [1, 2]), 0.95)
    assert recall is not None
    assert (recall.tested, recall.found, recall.missed) == (3, 1.0, 2)
    assert recall.share.value == pytest.approx(1 / 3)
    assert measure_recall(np.empty(0, bool), np.empty(0, np.int64), 0.95) is None


def test_folds_never_split_a_group_and_spread_each_class() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 200)
    classes = groups % 3
    folds = deal_group_folds(classes, groups, 5, rng)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    for one in range(3):
        of_class = [len(np.unique(groups[(folds == fold) & (classes == one)])) for fold in range(5)]
        assert max(of_class) - min(of_class) <= 1


def test_a_class_in_one_group_is_always_trained_on() -> None:
    folds = deal_group_folds(np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 9, 9]), 5, np.random.default_rng(0))
    assert folds[3:].tolist() == [-1, -1]
    assert (folds[:3] >= 0).all()
