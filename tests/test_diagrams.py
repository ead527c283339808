"""Bins of equal mass by hand, and whether their intervals hold the truth; the curve by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from activesel.diagrams import LEAST_IN_BIN, MOST_BINS, Stated, roc_points
from activesel.proof import wilson


def test_each_bin_holds_as_many_images_and_says_what_was_so(rng: np.random.Generator) -> None:
    probs = rng.permutation(np.linspace(0, 1, 400))
    hits = probs > 0.65
    bins = Stated.of(probs, hits, np.arange(400)).read(0.95)
    assert [one.n for one in bins] == [40] * MOST_BINS
    assert [one.observed.value for one in bins] == [0, 0, 0, 0, 0, 0, 0.5, 1, 1, 1]
    assert all(before.high < after.low for before, after in itertools.pairwise(bins))
    assert bins[6].observed == wilson(20, 40, 0.95)
    assert bins[9].predicted == pytest.approx(probs[probs >= bins[9].low].mean())


def test_equal_probabilities_are_never_parted() -> None:
    probs = np.append(np.zeros(300), np.linspace(0.1, 1, 100))
    bins = Stated.of(probs, probs > 0.5, np.arange(400)).read(0.95)
    assert (bins[0].low, bins[0].high, bins[0].n) == (0, 0, 300)
    assert [one.n for one in bins[1:]] == [20] * 5
    (alone,) = Stated.of(np.full(100, 0.5), np.arange(100) < 30, np.arange(100)).read(0.95)
    assert (alone.n, alone.observed.value) == (100, 0.3)


def test_few_images_are_few_bins() -> None:
    for n, expected in ((5, 1), (LEAST_IN_BIN * 2 - 1, 1), (LEAST_IN_BIN * 3, 3)):
        probs = np.linspace(0.1, 0.9, n)
        assert len(Stated.of(probs, probs > 0.5, np.arange(n)).read(0.95)) == expected


def test_pictures_of_one_part_count_as_one() -> None:
    probs, hits = np.full(400, 0.5), np.arange(400) % 8 < 4
    (one,) = Stated.of(probs, hits, np.arange(400) // 4).read(0.95)
    assert (one.n, one.n_groups, one.observed) == (400, 100, wilson(50, 100, 0.95))
    uneven = np.append(np.zeros(100, int), np.arange(1, 301))  # one part of 100 pictures, 300 of one
    (other,) = Stated.of(probs, hits, uneven).read(0.95)
    assert other.observed.high - other.observed.low > one.observed.high - one.observed.low, "16 effective parts"


def test_gaps_make_the_expected_calibration_error() -> None:
    probs, hits = np.repeat([0.2, 0.8], 40), np.arange(80) % 40 < 16
    table = Stated.of(probs, hits, np.arange(80) // 2).gaps(40)
    assert table.shape == (40, 2)
    assert np.abs(table.sum(axis=0)).sum() / 80 == pytest.approx(0.5 * abs(0.2 - 0.4) + 0.5 * abs(0.8 - 0.4))


def test_intervals_hold_the_truth_as_often_as_they_say(rng: np.random.Generator) -> None:
    """Groups of 3 that stand or fall together, calibrated: the mean probability is the truth; 200 worlds."""
    missed = n = 0
    for _ in range(200):
        probs = np.repeat(rng.uniform(0.05, 0.95, 200), 3)
        hits = np.repeat(rng.random(200), 3) < probs
        for one in Stated.of(probs, hits, np.arange(600) // 3).read(0.95):
            missed += not one.observed.low <= one.predicted <= one.observed.high
            n += 1
    assert missed / n < 0.07


def test_the_curve_goes_from_nothing_to_everything() -> None:
    points = roc_points(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, False, True, False]))
    assert points.tolist() == [[0, 0], [0, 0.5], [0.5, 1], [1, 1]]
