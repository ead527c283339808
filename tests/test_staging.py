"""Whom to ask next: as few as the wanted share of errors takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.staging import choose_doubtful, expect_majority_error, plan_stage, target_of


@given(st.lists(st.floats(0, 0.5), max_size=30), st.floats(0, 0.2))
def test_the_others_err_no_more_and_one_more_of_them_would_be_too_much(wrong: list[float], target: float) -> None:
    chances = np.array(wrong)
    doubtful = choose_doubtful(chances, target)
    kept = np.sort(chances[~doubtful])
    if len(kept):
        assert kept.mean() <= target + 1e-12
    if doubtful.any():
        assert np.append(kept, chances[doubtful].min()).mean() > target
        assert not len(kept) or kept.max() <= chances[doubtful].min()


def test_people_first_and_an_expert_once_they_cannot_tell() -> None:
    posterior = np.array([[0.6, 0.4], [0.4, 0.6], [0.99, 0.01], [1.0, 0.0]])
    stage = plan_stage(posterior, np.array([1, 2, 1, 2]), 0.006, 2)
    assert stage.again.tolist() == [True, False, False, False]
    assert stage.expert.tolist() == [False, True, False, False]
    assert stage.error == pytest.approx(0.005)


def test_no_image_and_no_target() -> None:
    nothing = plan_stage(np.empty((0, 2)), np.empty(0, np.int64), 0.01, 2)
    assert (len(nothing.again), nothing.error) == (0, 0.0)
    sure = np.array([[1.0, 0.0]])
    assert not plan_stage(sure, np.array([1]), 0.0, 2).again.any()


def test_three_people_err_as_often_as_they_do() -> None:
    rng = np.random.default_rng(0)
    skill, prevalence = np.array([[0.99, 0.01], [0.15, 0.85]]), np.array([0.9, 0.1])
    truth = (rng.random(200_000) < prevalence[1]).astype(int)
    said = rng.random((len(truth), 3)) < skill[truth, 1][:, None]
    error = float(((said.sum(axis=1) > 1) != truth).mean())
    assert expect_majority_error(skill[None], prevalence) == pytest.approx(error, rel=0.05)
    assert target_of(None, skill[None], prevalence) < error
    assert target_of(0.02, skill[None], prevalence) == 0.02
