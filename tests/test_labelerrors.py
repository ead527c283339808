"""Confident learning by hand, and on labels flipped on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.labelerrors import find_label_errors


def test_by_hand() -> None:
    """Mean own probability: of class 0 0.6, of 1 0.7. Row 3 is surely 1 and labelled 0; row 6 not surely enough 0."""
    p0 = np.array([0.9, 0.8, 0.6, 0.1, 0.2, 0.15, 0.55])
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    found = find_label_errors(np.stack([p0, 1 - p0], axis=1), labels)
    assert found.thresholds.tolist() == pytest.approx([0.6, 0.7])
    assert found.rows.tolist() == [3, 6]
    assert found.suggested.tolist() == [1, 0]
    assert found.confident.tolist() == [True, False]
    assert found.self_confidence.tolist() == pytest.approx([0.1, 0.45])
    assert found.margin.tolist() == pytest.approx([-0.8, -0.1])
    assert found.joint.sum() == pytest.approx(1)
    assert found.share == pytest.approx(1 / 7)


def test_rows_that_nobody_held_out_are_left_alone() -> None:
    probs = np.array([[0.9, 0.1], [np.nan, np.nan], [0.1, 0.9], [0.1, 0.9]])
    found = find_label_errors(probs, np.array([0, 0, 1, 0]))
    assert found.rows.tolist() == [3]


def test_flipped_labels_come_first(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 3, 900)
    probs = np.full((900, 3), 0.1)
    probs[np.arange(900), truth] = rng.uniform(0.6, 0.9, 900)
    probs /= probs.sum(axis=1, keepdims=True)
    labels = truth.copy()
    labels[:45] = (labels[:45] + 1) % 3
    found = find_label_errors(probs, labels)
    assert set(found.rows.tolist()) == set(range(45))
    assert found.confident.sum() >= 40
    assert (found.suggested == truth[found.rows]).all()
    assert (np.diff(found.self_confidence) >= 0).all()
    assert found.share == pytest.approx(0.05, abs=0.02)


def test_nothing_to_find() -> None:
    probs = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert len(find_label_errors(probs, np.array([0, 1])).rows) == 0
    assert len(find_label_errors(np.full((3, 2), np.nan), np.array([0, 1, 1])).rows) == 0


def test_against_cleanlab(rng: np.random.Generator) -> None:
    filters = pytest.importorskip("cleanlab.filter", reason="cleanlab is not among the test packages")
    labels = rng.integers(0, 4, 400)
    probs = rng.dirichlet(np.ones(4), 400) + np.eye(4)[labels] * 0.5
    probs /= probs.sum(axis=1, keepdims=True)
    theirs = filters.find_label_issues(labels, probs, filter_by="confident_learning", n_jobs=1)
    ours = find_label_errors(probs, labels)
    assert set(ours.rows[ours.confident].tolist()) == set(np.flatnonzero(theirs).tolist())
