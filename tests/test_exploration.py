"""Estimates from weighted images: by hand, against the whole line, and their intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.exploration import (
    effective_size,
    estimate_line,
    estimate_mean,
    estimate_share,
    good_turing,
    horvitz_thompson,
    lure_weights,
    round_weights,
)


def test_equal_weights_are_a_plain_share() -> None:
    found = estimate_share(np.array([True, False, False, True]), np.full(4, 7.0), 0.95)
    assert found is not None
    assert found.share.value == 0.5
    assert found.size == pytest.approx(3.0)  # one is lost to the mean
    assert 0 < found.share.low < 0.5 < found.share.high < 1


def test_pictures_of_one_part_count_once() -> None:
    hits = np.repeat([True, False, False, True, True], 10)
    parts = np.repeat(np.arange(5), 10)
    alone, together = (estimate_share(hits, np.ones(50), 0.95, groups=one) for one in (None, parts))
    assert alone is not None
    assert together is not None
    assert together.size < 5 < 40 < alone.size


def test_nothing_says_nothing() -> None:
    assert estimate_share(np.empty(0, bool), np.empty(0), 0.95) is None
    assert effective_size(np.empty(0)) == 0


def test_a_share_of_none_keeps_an_interval() -> None:
    found = estimate_share(np.zeros(20, bool), np.ones(20), 0.95)
    assert found is not None
    assert found.share.low == pytest.approx(0)
    assert 0.1 < found.share.high < 0.25


def test_a_line_that_is_labelled_whole_is_known() -> None:
    found = estimate_share(np.array([True, False]), np.ones(2), 0.95, certain=np.ones(2, bool))
    assert found is not None
    assert (found.share.low, found.share.high) == (0.5, 0.5)


def test_the_line_by_hand() -> None:
    defect, rejected = np.array([True, True, False, False]), np.array([True, False, True, False])
    found = estimate_line(defect, rejected, defect != rejected, np.array([1.0, 3.0, 1.0, 5.0]), 0.95)
    shares = [one.share.value for one in (found.prevalence, found.recall, found.precision, found.error) if one]
    assert shares == [0.4, 0.25, 0.5, 0.4]


def test_recall_of_a_line_without_a_defect_is_none() -> None:
    none = np.zeros(5, bool)
    assert estimate_line(none, none, none, np.ones(5), 0.95).recall is None


def test_horvitz_thompson_by_hand() -> None:
    found = horvitz_thompson(np.array([True, False]), np.array([0.1, 0.1]), 100, 0.95)
    assert found.value == pytest.approx(0.1)
    assert found.low < 0.1 < found.high


def test_weights_of_one_round_are_pool_over_draws() -> None:
    weights, certain = round_weights(np.zeros(4, np.int64), np.array([True, True, False, False]), np.array([50.0]))
    assert weights.tolist() == [25, 25, 0, 0]
    assert certain.tolist() == [False, False, True, True]


def test_weights_of_later_rounds_count_what_was_known_before_for_itself() -> None:
    rounds, drawn = np.array([0, 0, 1, 1]), np.array([True, False, True, False])
    weights, _ = round_weights(rounds, drawn, np.array([10.0, 8.0]))
    assert weights.tolist() == [0.5 * 10 + 0.5, 0.5, 0.5 * 8, 0.0]


def draw_line(rng: np.random.Generator, rounds: int) -> tuple[np.ndarray, ...]:
    """A selection takes out the defects; a few random images beside it. Returns what was labelled, and the line."""
    line = rng.random(800) < 0.12
    score = line + rng.normal(0, 0.6, 800)
    left = np.arange(800)
    rows, numbers, drawn, sizes = [], [], [], []
    for number in range(rounds):
        sizes.append(len(left))
        explored = rng.choice(left, 10, replace=False)
        rest = np.setdiff1d(left, explored)
        chosen = rest[np.argsort(-score[rest])][:20]
        rows += [*explored, *chosen]
        numbers += [number] * 30
        drawn += [True] * 10 + [False] * 20
        left = np.setdiff1d(left, rows)
    return np.array(rows), np.array(numbers), np.array(drawn), np.array(sizes, float), line


def test_a_selection_that_takes_out_the_defects_biases_nothing() -> None:
    rng = np.random.default_rng(0)
    naive, weighted, truth = [], [], []
    for _ in range(300):
        rows, numbers, drawn, sizes, line = draw_line(rng, 4)
        weights, certain = round_weights(numbers, drawn, sizes)
        found = estimate_share(line[rows], weights, 0.95, certain=certain)
        assert found is not None
        naive.append(line[rows].mean())
        weighted.append(found.share.value)
        truth.append(line.mean())
    assert np.mean(naive) > 0.4
    assert np.mean(weighted) == pytest.approx(np.mean(truth), abs=0.01)


def test_the_interval_over_rounds_holds() -> None:
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        rows, numbers, drawn, sizes, line = draw_line(rng, 4)
        weights, certain = round_weights(numbers, drawn, sizes)
        found = estimate_share(line[rows], weights, 0.95, certain=certain)
        assert found is not None
        covered.append(found.share.low <= line.mean() <= found.share.high)
    assert np.mean(covered) >= 0.92


def lean(rng: np.random.Generator, losses: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Pick m one after the other: with a chance of a half at random, else by a score that follows the loss."""
    left, chances, rows = np.arange(len(losses)), [], []
    for _ in range(m):
        leaning = np.exp(2 * losses[left])
        chance = 0.5 / len(left) + 0.5 * leaning / leaning.sum()
        at = int(rng.choice(len(left), p=chance / chance.sum()))
        chances.append(chance[at])
        rows.append(left[at])
        left = np.delete(left, at)
    return np.array(rows), np.array(chances)


def test_lure_takes_the_bias_out_of_picks_that_lean() -> None:
    rng = np.random.default_rng(2)
    losses = rng.exponential(size=60)
    means, plain = [], []
    for _ in range(400):
        rows, chances = lean(rng, losses, 15)
        means.append(estimate_mean(losses[rows], lure_weights(chances, 60), 60, 0.95).value)
        plain.append(losses[rows].mean())
    assert np.mean(plain) > losses.mean() + 0.2
    assert np.mean(means) == pytest.approx(losses.mean(), abs=0.05)


def test_lure_of_the_whole_pool_is_its_mean() -> None:
    losses = np.array([1.0, 2.0, 6.0])
    rows, chances = lean(np.random.default_rng(0), losses, 3)
    assert lure_weights(chances, 3).tolist() == [1.0, 1.0, 1.0]
    assert estimate_mean(losses[rows], lure_weights(chances, 3), 3, 0.95).high == 3.0


def test_good_turing() -> None:
    assert good_turing(np.empty(0, int)) == (1.0, 1.0)
    assert good_turing(np.array([0, 0, 1, 1]))[0] == 0.0
    rng = np.random.default_rng(0)
    shares = np.array([0.9, *[0.01] * 10])
    gaps = []
    for _ in range(300):
        seen = rng.choice(11, 60, p=shares)
        gaps.append(good_turing(seen)[0] - shares[np.setdiff1d(np.arange(11), seen)].sum())
    assert abs(np.mean(gaps)) < 0.01
