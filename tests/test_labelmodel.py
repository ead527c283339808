"""The table by hand; the label model against majority vote on rules with known faults."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.labelmodel import fit_label_model, summarise

GOOD, CRACK = 0, 1


def test_the_table_by_hand() -> None:
    votes = np.array([[1, -1, 1], [1, 0, -1], [-1, -1, 0], [-1, -1, -1]])
    first, second, third = summarise(votes, ("a", "b", "c"), np.array([1, 0, -1, -1]))
    assert (first.polarity, first.coverage, first.overlaps, first.conflicts) == ((1,), 0.5, 0.5, 0.25)
    assert (first.n_right, first.n_known, first.accuracy) == (1, 2, 0.5)
    assert (second.coverage, second.conflicts, second.accuracy) == (0.25, 0.25, 1.0)
    assert (third.polarity, third.coverage, third.overlaps, third.conflicts) == ((0, 1), 0.5, 0.25, 0.0)


def draw(rng: np.random.Generator, truth: np.ndarray, says: float, right: float) -> np.ndarray:
    """A rule that speaks so often, and is right so often."""
    wrong = (truth + rng.integers(1, 3, len(truth))) % 3
    return np.where(rng.random(len(truth)) < says, np.where(rng.random(len(truth)) < right, truth, wrong), -1)


def test_a_good_rule_outweighs_two_bad_ones(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 3, 2000)
    votes = np.stack([draw(rng, truth, 0.9, 0.95), *(draw(rng, truth, 0.9, 0.6) for _ in range(3))], axis=1)
    found = fit_label_model(votes, 3, np.ones(3))
    covered = np.isfinite(found.posterior[:, 0])
    assert np.allclose(found.posterior[covered].sum(axis=1), 1)
    ours = (found.posterior[covered].argmax(axis=1) == truth[covered]).mean()
    counts = np.stack([(votes == code).sum(axis=1) for code in range(3)], axis=1)
    majority = (counts[covered].argmax(axis=1) == truth[covered]).mean()
    assert ours > majority + 0.03
    assert np.isnan(found.posterior[~(votes >= 0).any(axis=1)]).all()


def test_a_rule_that_says_crack_or_nothing_tells_by_firing(rng: np.random.Generator) -> None:
    truth = (rng.random(3000) < 0.2).astype(int)
    fires = np.where(truth == CRACK, rng.random(3000) < 0.8, rng.random(3000) < 0.05)
    also = np.where(truth == CRACK, rng.random(3000) < 0.6, rng.random(3000) < 0.1)
    blanket = rng.random(3000) < 0.5
    votes = np.stack([np.where(fires, CRACK, -1), np.where(blanket, GOOD, -1), np.where(also, CRACK, -1)], axis=1)
    known = np.where(np.arange(3000) < 150, truth, -1)
    found = fit_label_model(votes, 2, np.array([0.8, 0.2]), known=known).posterior
    votes, found = votes[150:], found[150:]
    both = (votes[:, 0] == CRACK) & (votes[:, 1] == GOOD) & (votes[:, 2] == -1)
    assert (found[both, CRACK] > 0.5).all(), "against a rule that says good to everything"
    only_good = (votes[:, 0] == -1) & (votes[:, 1] == GOOD) & (votes[:, 2] == -1)
    assert (found[only_good, GOOD] > 0.8).all()


def test_known_labels_teach_what_a_rule_is_worth(rng: np.random.Generator) -> None:
    """Two rules that contradict each other everywhere: only labels can tell which is right."""
    truth = rng.integers(0, 2, 400)
    votes = np.stack([truth, 1 - truth], axis=1)
    known = np.where(np.arange(400) < 60, truth, -1)
    found = fit_label_model(votes, 2, np.ones(2), known=known).posterior
    assert (found[60:].argmax(axis=1) == truth[60:]).all()
    assert (found[:60].argmax(axis=1) == truth[:60]).all()


def test_one_rule_alone_is_as_good_as_the_prior_says() -> None:
    votes = np.array([[0]] * 50 + [[1]] * 50)
    found = fit_label_model(votes, 2, np.ones(2), accuracy=0.8).posterior
    assert 0.7 < found[0, 0] < 0.95
    assert found[99, 1] == pytest.approx(found[0, 0], abs=1e-6)


def test_no_votes_no_labels() -> None:
    assert np.isnan(fit_label_model(np.full((5, 2), -1), 2, np.ones(2)).posterior).all()
