"""The random shares of a batch: images for evaluation and for exploring, drawn before any strategy looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray
from activesel.seeds import derive_rng


@dataclass(frozen=True)
class Shares:
    """What to draw at random. explore, evaluation: shares of the budget, 0..1, together up to 1.

    cost: (n,) or None; the budget is then money, and a draw ends before the first image that it cannot pay for.
    """

    budget: float
    explore: float
    evaluation: float
    seed: int
    cost: FloatArray | None = None


@dataclass(frozen=True)
class Draws:
    """Rows drawn uniformly at random, and the chance each had. notes: what the user should know about them."""

    evaluation: npt.NDArray[np.int64]
    evaluation_chance: float
    explore: npt.NDArray[np.int64]
    explore_chance: float
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        return np.concatenate((self.explore, self.evaluation))


def draw_random_shares(
    shares: Shares, candidates: BoolArray, labelled: IntArray, held_out: IntArray, groups: IntArray | None
) -> Draws:
    """Draw both shares uniformly from the candidates, whatever the quotas say, so that nothing steers them.

    labelled: rows that are known or on their way. held_out: earlier evaluation draws. groups: (n,) near-duplicate group
    of each row. Evaluation never comes from a group with a labelled member, and exploring never from one with an
    evaluation image: either would leak training into testing.
    """
    n_explore, n_evaluation = count_random_shares(shares.budget, shares.explore, shares.evaluation)
    open_rows = np.flatnonzero(candidates)
    fair = open_rows if groups is None else open_rows[~np.isin(groups[open_rows], groups[labelled])]
    evaluation = _draw(fair, shares, shares.evaluation, n_evaluation, "evaluation")
    rest = np.setdiff1d(open_rows, evaluation) if len(evaluation) else open_rows
    if groups is not None:
        rest = rest[~np.isin(groups[rest], groups[np.union1d(evaluation, held_out)])]
    explore = _draw(rest, shares, shares.explore, n_explore, "explore")
    notes = [
        *_tell_shortfall("evaluation", shares.evaluation, shares, n_evaluation, len(evaluation)),
        *_tell_shortfall("explore", shares.explore, shares, n_explore, len(explore)),
    ]
    return Draws(evaluation, len(evaluation) / max(1, len(fair)), explore, len(explore) / max(1, len(rest)),
                 tuple(notes))  # fmt: skip


def count_random_shares(budget: float, explore: float, evaluation: float) -> tuple[int, int]:
    """Return how many images the two shares come to, together never above the budget.

    >>> count_random_shares(5, 0.3, 0.7)
    (1, 4)
    """
    n_evaluation = round(evaluation * budget)
    return round((explore + evaluation) * budget) - n_evaluation, n_evaluation


def _draw(rows: IntArray, shares: Shares, share: float, n_rows: int, name: str) -> npt.NDArray[np.int64]:
    if share == 0:
        return np.empty(0, np.int64)
    shuffled = derive_rng(shares.seed, name).permutation(rows)
    if shares.cost is None:
        return np.sort(shuffled[:n_rows])
    return np.sort(shuffled[np.cumsum(shares.cost[shuffled]) <= share * shares.budget])


def _tell_shortfall(name: str, share: float, shares: Shares, wanted: int, drawn: int) -> list[str]:
    if share > 0 and drawn == 0 and (shares.cost is not None or wanted == 0):
        return [f"the {name} share of {share:g} comes to no image at a budget of {shares.budget:g}"]
    if shares.cost is None and drawn < wanted:
        return [f"{name}: only {drawn} of {wanted} drawn, every other image left is a near-duplicate of one used "
                f"{'for training' if name == 'evaluation' else 'for evaluation'}"]  # fmt: skip
    return []
