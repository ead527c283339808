"""Who is to label an image: the crowd or an expert, by how hard and how critical it is, within what may be spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray

CROWD, EXPERT, NOBODY = "crowd", "expert", ""


@dataclass(frozen=True)
class Rates:
    """Of one opinion: money, in one currency, and minutes. crowd_opinions: how many of the crowd an image takes."""

    crowd_cost: float
    expert_cost: float
    crowd_minutes: float
    expert_minutes: float
    crowd_opinions: int = 1


@dataclass(frozen=True)
class Budget:
    """What may be spent; None = no limit. minutes: of all people together. expert_minutes: of the experts alone."""

    money: float | None = None
    minutes: float | None = None
    expert_minutes: float | None = None


@dataclass(frozen=True)
class Spend:
    """Expected of a plan."""

    money: float
    minutes: float
    expert_minutes: float
    n_crowd: int
    n_expert: int
    n_nobody: int


@dataclass(frozen=True)
class Routed:
    """routes: "crowd", "expert", or "" where the budget ends, in the order of the images. spend: what it takes."""

    routes: tuple[str, ...]
    spend: Spend


def route(difficulty: FloatArray, critical: BoolArray, rates: Rates, budget: Budget, *, expert_from: float) -> Routed:
    """Send critical and hard images to experts, the others to the crowd.

    difficulty: (n,) 0..1, higher = harder, such as the uncertainty; NaN counts as hardest: nothing is known of it.
    critical: (n,) whether it may be of a class that only experts decide. expert_from: difficulty from which on an image
    is worth an expert. Images come in the order of their worth to the batch. Spent in this order: critical images to
    experts, never to the crowd; all others to the crowd; then, hardest first, those from ``expert_from`` on move from
    the crowd to an expert as far as money and minutes go. What no longer fits is nobody's. Time O(n log n).
    """
    hard = np.where(np.isnan(difficulty), np.inf, np.asarray(difficulty, np.float64))
    routes = [NOBODY] * len(hard)
    left = _Purse(budget)
    for row in np.flatnonzero(critical):
        if left.take(rates.expert_cost, rates.expert_minutes, rates.expert_minutes):
            routes[row] = EXPERT
    money, minutes = rates.crowd_cost * rates.crowd_opinions, rates.crowd_minutes * rates.crowd_opinions
    for row in np.flatnonzero(~critical):
        if left.take(money, minutes, 0.0):
            routes[row] = CROWD
        elif hard[row] >= expert_from and left.take(rates.expert_cost, rates.expert_minutes, rates.expert_minutes):
            routes[row] = EXPERT  # several of the crowd may cost more than one expert
    worth = [row for row in np.argsort(-hard, kind="stable") if routes[row] == CROWD and hard[row] >= expert_from]
    for row in worth:
        if left.take(rates.expert_cost - money, rates.expert_minutes - minutes, rates.expert_minutes):
            routes[row] = EXPERT
    return Routed(tuple(routes), _add_up(routes, rates))


def find_critical(
    probs: FloatArray, names: Sequence[str], critical: Sequence[str], least: float
) -> npt.NDArray[np.bool_]:
    """Return (n,) whether the critical classes together have the probability ``least`` or more. probs: (n, c).

    Without any class that is critical none is; a critical class that the model does not know yet says nothing.

    >>> find_critical(np.array([[0.9, 0.1], [0.7, 0.3]]), ("good", "crack"), ("crack",), 0.2).tolist()
    [False, True]
    """
    columns = [column for column, name in enumerate(names) if name in critical]
    return np.asarray(probs[:, columns].sum(axis=1) >= least) & bool(columns)


def _add_up(routes: Sequence[str], rates: Rates) -> Spend:
    n_crowd, n_expert = routes.count(CROWD), routes.count(EXPERT)
    opinions = n_crowd * rates.crowd_opinions
    return Spend(opinions * rates.crowd_cost + n_expert * rates.expert_cost,
                 opinions * rates.crowd_minutes + n_expert * rates.expert_minutes, n_expert * rates.expert_minutes,
                 n_crowd, n_expert, routes.count(NOBODY))  # fmt: skip


class _Purse:
    """What is left of a budget."""

    def __init__(self, budget: Budget) -> None:
        limits = (budget.money, budget.minutes, budget.expert_minutes)
        self._left = np.array([np.inf if one is None else one for one in limits], np.float64)

    def take(self, money: float, minutes: float, expert_minutes: float) -> bool:
        """Take so much, or nothing where it is not there; a negative amount is given back."""
        rest = self._left - (money, minutes, expert_minutes)
        if (rest < -1e-9).any():
            return False
        self._left = rest
        return True
