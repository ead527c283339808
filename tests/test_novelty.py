"""Novelty: 0 the same as what is known .. 1 nothing known."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.novelty import score_novelty


def test_by_hand() -> None:
    similarity = np.array([[1, 1], [0, 0], [-1, -1], [1, 0]], np.float32)
    assert score_novelty(similarity) == pytest.approx([0, 0.5, 1, 0.25])


def test_neighbours_that_do_not_exist_are_left_out() -> None:
    similarity = np.array([[1, np.nan], [0.5, -np.inf], [np.nan, -np.inf]], np.float32)
    assert score_novelty(similarity) == pytest.approx([0, 0.25, 1])


def test_nothing_known() -> None:
    scores = score_novelty(np.zeros((3, 0), np.float32))
    assert scores.tolist() == [1, 1, 1]
    assert scores.dtype == np.float32


def test_rounding_does_not_leave_the_range() -> None:
    assert score_novelty(np.array([[1.0000001], [-1.0000001]])).tolist() == [0, 1]
