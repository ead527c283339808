"""The random shares: how many, from which rows, with what chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.pipelines.draws import Draws, Shares, count_random_shares, draw_random_shares

NONE = np.empty(0, dtype=np.int64)
TWINS = np.arange(40) // 2  # near-duplicate groups of two


def draw(
    shares: Shares, *, labelled: object = NONE, held_out: object = NONE, groups: object = None, n: int = 40
) -> Draws:
    known = np.asarray(labelled, dtype=np.int64)
    held = np.asarray(held_out, dtype=np.int64)
    candidates = np.ones(n, dtype=bool)
    candidates[known] = candidates[held] = False
    return draw_random_shares(shares, candidates, known, held, None if groups is None else np.asarray(groups))


@given(budget=st.integers(1, 200), explore=st.integers(0, 100), evaluation=st.integers(0, 100))
def test_shares_never_exceed_the_budget(budget: int, explore: int, evaluation: int) -> None:
    explore = min(explore, 100 - evaluation)
    n_explore, n_evaluation = count_random_shares(budget, explore / 100, evaluation / 100)
    assert n_explore >= 0
    assert abs(n_explore - budget * explore / 100) <= 1
    assert abs(n_evaluation - budget * evaluation / 100) <= 0.5
    assert n_explore + n_evaluation <= budget
    if explore + evaluation == 100:
        assert n_explore + n_evaluation == budget


def test_evaluation_is_never_like_a_labelled_image_and_says_its_chance() -> None:
    """Rows 0, 2, ... 22 are labelled, so their twins are out; of 28 open rows 16 are fair."""
    labelled = np.arange(0, 24, 2)
    for seed in range(10):
        draws = draw(Shares(10, 0.0, 1.0, seed), labelled=labelled, groups=TWINS)
        assert len(draws.evaluation) == 10
        assert draws.evaluation.min() >= 24
        assert draws.evaluation_chance == 10 / 16


def test_exploring_is_never_like_an_evaluation_image_of_this_round_or_earlier() -> None:
    for seed in range(10):
        draws = draw(Shares(10, 0.6, 0.4, seed), held_out=np.arange(0, 20, 2), groups=TWINS)
        held = set(range(10)) | set(TWINS[draws.evaluation])
        assert not held & set(TWINS[draws.explore])
        assert draws.explore_chance == 6 / sum(TWINS[row] not in held for row in range(40))


def test_what_twins_leave_is_said() -> None:
    draws = draw(Shares(10, 0.0, 1.0, 0), labelled=np.arange(0, 38, 2), groups=TWINS)
    assert draws.evaluation.tolist() == [38, 39]
    assert draws.notes == (
        "evaluation: only 2 of 10 drawn, every other image left is a near-duplicate of one used for training",
    )


def test_each_row_has_the_same_chance() -> None:
    counts = np.zeros(40)
    for seed in range(400):
        counts[draw(Shares(10, 0.5, 0.0, seed)).explore] += 1
    assert counts.sum() == 2000
    assert 25 < counts.min() < counts.max() < 80  # 50 expected, standard deviation 6.6


def test_a_share_in_money_is_not_overspent() -> None:
    cost = np.linspace(1, 4, 40)
    draws = draw(Shares(50.0, 0.5, 0.2, 3, cost))
    assert 21 < cost[draws.explore].sum() <= 25
    assert 6 < cost[draws.evaluation].sum() <= 10


@pytest.mark.parametrize("cost", [None, np.full(40, 3.0)])
def test_a_share_of_nothing_is_said(cost: np.ndarray | None) -> None:
    draws = draw(Shares(4, 0.1, 0.0, 0, cost))
    assert draws.notes == ("the explore share of 0.1 comes to no image at a budget of 4",)
