"""Nothing of a row's group teaches the head that speaks of it."""

from __future__ import annotations

import numpy as np

from activesel.training.held_out import hold_out_head


def clouds(rng: np.random.Generator, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    classes = np.arange(n) % 3
    rows = np.eye(8)[classes] + 0.3 * rng.normal(size=(n, 8))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), classes


def test_probabilities_are_held_out_and_sum_to_one(rng: np.random.Generator) -> None:
    vectors, classes = clouds(rng)
    found = hold_out_head(vectors, classes, np.arange(60), 3)
    assert np.allclose(found.probs.sum(axis=1), 1)
    assert (found.probs.argmax(axis=1) == classes).mean() > 0.9
    assert found.head.probabilities(vectors).shape == (60, 3)


def test_a_label_that_only_its_group_knows_is_not_learnt(rng: np.random.Generator) -> None:
    """Twenty copies of one image with a wrong label, one group: a head that had seen one would repeat it."""
    vectors, classes = clouds(rng)
    vectors[:20], classes[:20] = vectors[21], 1
    classes[20:40], classes[40:] = np.arange(20) % 3, np.arange(20) % 3
    vectors[20:] = np.eye(8)[classes[20:]]
    vectors[:20] = np.eye(8)[0]
    groups = np.append(np.zeros(20, int), np.arange(1, 41))
    found = hold_out_head(vectors, classes, groups, 3)
    assert (found.probs[:20].argmax(axis=1) == 0).all()


def test_a_class_of_one_group_is_never_held_out(rng: np.random.Generator) -> None:
    vectors, classes = clouds(rng)
    classes[:2] = 3
    found = hold_out_head(vectors, classes, np.append([0, 0], np.arange(1, 59)), 4)
    assert np.isnan(found.probs[:2]).all()
    assert np.isfinite(found.probs[2:]).all()
