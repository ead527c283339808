"""Repeated looks: what counts as one, and that all of them together err rarely."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from activesel.looks import Look, share_of, take_look

CLASSES = ("good", "pit")


def take(earlier: list[Look], cells: list[list[int]], *guidelines: str, classes: tuple[str, ...] = CLASSES) -> Look:
    return take_look(earlier, np.array(cells), classes, guidelines or ("",))


def test_more_labels_are_another_look_and_the_same_ones_are_not() -> None:
    first = take([], [[9, 1], [0, 5]])
    second = take([first], [[19, 1], [0, 5]])
    assert (first.number, first.n, second.number, second.n) == (1, 15, 2, 25)
    assert take([first, second], [[9, 1], [0, 5]]) == first, "as it was told then"
    assert take([first, second], [[19, 1], [0, 5]]) == second
    assert take([first, second], [[18, 2], [0, 5]]).number == 3, "as many, but others"


def test_a_class_that_nobody_said_is_no_news() -> None:
    first = take([], [[9, 1], [0, 5]])
    wider = take([first], [[9, 0, 1], [0, 0, 0], [0, 0, 5]], classes=("good", "dent", "pit"))
    assert wider == first
    assert take([first], [[9, 1], [0, 5]], classes=("good", "dent")).number == 2


def test_a_new_guideline_begins_anew_once_no_old_label_is_left() -> None:
    old = [take([], [[9, 1], [0, 5]], "1")]
    old.append(take(old, [[9, 1], [0, 6]], "1"))
    mixed = take(old, [[9, 1], [0, 6]], "1", "2")
    assert mixed.number == 3
    assert take([*old, mixed], [[9, 1], [0, 6]], "3").number == 1
    assert take([*old, mixed], [[9, 1], [0, 6]], "2").number == 4, "some of these were looked at already"


def test_each_look_is_surer_than_the_one_before() -> None:
    looks = [Look(number, "", (), 0) for number in range(1, 30)]
    assert all(one.next_bound == later.bound < one.bound for one, later in itertools.pairwise(looks))
    with pytest.raises(AssertionError):
        share_of(0)


@pytest.mark.parametrize(
    ("growth", "n_looks", "most"), [(1.2, 5, 0.03), (2.0, 5, 0.038), (6.0, 5, 0.043), (6.0, 20, 0.052)]
)
def test_all_looks_together_err_in_at_most_5_of_100(growth: float, n_looks: int, most: float) -> None:
    """A walk seen whenever it has grown so much; judged as if each look were alone it is wrong far more often."""
    rng, n = np.random.default_rng(0), 100_000
    walk, seen = np.zeros(n), 0.0
    wrong, naive = np.zeros(n, bool), np.zeros(n, bool)
    for number in range(1, n_looks + 1):
        walk += rng.normal(size=n) * np.sqrt(growth ** (number - 1) - seen)
        seen = growth ** (number - 1)
        wrong |= walk > -_quantile(share_of(number)) * np.sqrt(seen)
        naive |= walk > -_quantile(0.05) * np.sqrt(seen)
    assert wrong.mean() < most < 0.1 < naive.mean()


def _quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))
