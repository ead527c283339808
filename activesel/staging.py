"""Opinions in stages: one of every image, another where it pays, an expert where people cannot tell. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Stage:
    """What to ask for next. again, expert: (n,) images that another person should see, and that an expert should.

    error: share of wrong labels to be expected among the others, 0..1. target: what it may be.
    """

    again: BoolArray
    expert: BoolArray
    error: float
    target: float


def target_of(
    error: float | None, confusion: npt.NDArray[np.float64], prevalence: npt.NDArray[np.float64]
) -> float:  # fmt: skip
    """Return what share of labels may be wrong, 0..1: the one that is set, else a little less than three would err."""
    return MARGIN * expect_majority_error(confusion, prevalence) if error is None else error


def plan_stage(posterior: FloatArray, n_said: IntArray, target: float, most: int) -> Stage:
    """Return what to ask for so that the labels which are left as they are err no more than ``target`` on average.

    posterior: (n, c) of the images that people have spoken of. n_said: (n,) opinions of each. most: opinions from which
    on an expert is asked instead.
    """
    wrong = 1 - posterior.max(axis=1, initial=0.0)
    doubtful = choose_doubtful(wrong, target)
    kept = wrong[~doubtful]
    return Stage(doubtful & (n_said < most), doubtful & (n_said >= most), float(kept.mean()) if len(kept) else 0.0,
                 target)  # fmt: skip


def choose_doubtful(wrong: FloatArray, target: float) -> BoolArray:
    """Return (n,) the fewest images without which the others are wrong with a mean chance of at most ``target``.

    wrong: (n,) chance that each label is wrong, 0..1.

    >>> choose_doubtful(np.array([0.4, 0.0, 0.02, 0.1]), 0.01).tolist()
    [True, False, False, True]
    """
    order = np.argsort(wrong, kind="stable")
    means = np.cumsum(wrong[order]) / np.arange(1, len(wrong) + 1)
    doubtful = np.ones(len(wrong), bool)
    doubtful[order[means <= target + 1e-15]] = False  # the means of an ascending row ascend
    return doubtful


MARGIN = 0.8  # of the majority's errors: people's skill is told by the same opinions, and looks better than it is


def expect_majority_error(confusion: npt.NDArray[np.float64], prevalence: npt.NDArray[np.float64]) -> float:
    """Return how often the majority of three people, drawn at random, is wrong, 0..1; three of three minds are.

    confusion: (r, c, c) chance that a rater says the third index where the second is true. prevalence: (c,).

    >>> skill = np.array([[[0.9, 0.1], [0.1, 0.9]]])
    >>> round(expect_majority_error(skill, np.array([0.5, 0.5])), 3)
    0.028
    """
    said = confusion.mean(axis=0)  # of somebody drawn at random; three drawn with replacement err alike
    right = np.diagonal(said)
    return float(1 - (prevalence * (right**3 + 3 * right**2 * (1 - right))).sum())
