"""Consensus by hand, on simulated raters, and against crowd-kit where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.consensus import Opinions, count_votes, reach_consensus, vote_majority


def simulate(
    n: int, skill: list[list[float]], share: float, seed: int, missing: float = 0.0
) -> tuple[Opinions, np.ndarray]:
    """n images of two classes; skill: per rater how often right on class 0, on class 1."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < share).astype(np.int64)
    images, raters = np.repeat(np.arange(n), len(skill)), np.tile(np.arange(len(skill)), n)
    right = rng.random(len(images)) < np.array(skill)[raters, truth[images]]
    said = np.where(right, truth[images], 1 - truth[images])
    kept = rng.random(len(images)) >= missing
    return Opinions(images[kept], raters[kept], said[kept], n, len(skill), 2), truth


def test_votes_and_majority_by_hand() -> None:
    opinions = Opinions(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), np.array([1, 1, 0, 0, 1]), 3, 3, 2)
    assert count_votes(opinions).tolist() == [[1, 2], [1, 1], [0, 0]]
    assert vote_majority(count_votes(opinions)).tolist() == [1, 0, -1]


def test_one_good_rater_outweighs_two_poor_ones() -> None:
    opinions, truth = simulate(2000, [[0.98, 0.97], [0.7, 0.6], [0.7, 0.6]], 0.3, 0)
    found = reach_consensus(opinions)
    wrong = (found.posterior.argmax(axis=1) != truth).mean()
    assert wrong < 0.5 * (vote_majority(count_votes(opinions)) != truth).mean()
    assert found.confusion[0, 1, 1] == pytest.approx(0.97, abs=0.06)
    assert found.confusion[1, 1, 1] == pytest.approx(0.6, abs=0.06)
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1)
    np.testing.assert_allclose(found.confusion.sum(axis=2), 1)


def test_posteriors_are_as_right_as_they_say() -> None:
    opinions, truth = simulate(5000, [[0.95, 0.85]] * 3, 0.2, 1, missing=0.3)
    found = reach_consensus(opinions)
    said = found.posterior.max(axis=1)
    right = found.posterior.argmax(axis=1) == truth
    assert right.mean() == pytest.approx(said.mean(), abs=0.02)


def test_known_answers_are_believed() -> None:
    opinions = Opinions(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([1, 1, 1]), 2, 2, 2)
    found = reach_consensus(opinions, known=np.array([0, -1]))
    assert found.posterior[0].tolist() == [1.0, 0.0]
    assert found.confusion[0, 0, 1] > reach_consensus(opinions).confusion[0, 0, 1]


def test_a_few_opinions_on_a_rare_class_make_nobody_infallible() -> None:
    opinions = Opinions(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1, 1, 0, 0]), 2, 2, 2)
    assert reach_consensus(opinions).confusion.max() < 0.95


def test_order_of_opinions_changes_nothing() -> None:
    opinions, _ = simulate(200, [[0.9, 0.8]] * 3, 0.3, 2)
    order = np.random.default_rng(0).permutation(len(opinions.images))
    shuffled = Opinions(opinions.images[order], opinions.raters[order], opinions.classes[order], 200, 3, 2)
    np.testing.assert_allclose(reach_consensus(shuffled).posterior, reach_consensus(opinions).posterior, atol=1e-9)


def test_nothing_said() -> None:
    none = np.empty(0, np.int64)
    assert reach_consensus(Opinions(none, none, none, 0, 0, 2)).posterior.shape == (0, 2)


def test_against_crowdkit() -> None:
    """Without priors both are the same model; crowd-kit starts from the votes, too."""
    aggregation = pytest.importorskip("crowdkit.aggregation.classification.dawid_skene")
    pandas = pytest.importorskip("pandas")
    opinions, _ = simulate(800, [[0.95, 0.8], [0.9, 0.7], [0.97, 0.9], [0.8, 0.85]], 0.25, 3)
    frame = pandas.DataFrame({"task": opinions.images, "worker": opinions.raters, "label": opinions.classes})
    theirs = aggregation.DawidSkene(n_iter=300, tol=1e-9).fit(frame)
    ours = reach_consensus(opinions, weight=1e-6)
    expected = theirs.probas_.sort_index()[[0, 1]].to_numpy()
    assert np.abs(ours.posterior - expected).max() < 0.02
    assert (ours.posterior.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.998


def test_a_row_without_a_prior_is_as_if_there_were_none() -> None:
    opinions = Opinions(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), 3, 2, 2)
    plain = reach_consensus(opinions).posterior
    assert np.allclose(reach_consensus(opinions, prior=np.full((3, 2), np.nan)).posterior, plain)
    prior = np.array([[np.nan, np.nan], [0.5, 0.5], [0.001, 0.999]])
    assert np.allclose(reach_consensus(opinions, prior=prior, trust=0.0).posterior, plain)
    least, half, whole = (reach_consensus(opinions, prior=prior, trust=t).posterior[2, 1] for t in (0.0, 0.5, 1.0))
    assert least < half < whole
