"""Who labels the picks of a batch, by the settings below `routing`: what `assign` may be given as its router."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from activesel.config import RoutingConfig
from activesel.pipelines.batch_file import PickRecord
from activesel.routing import Budget, Rates, Routed, route


def plan_routes(picks: Sequence[PickRecord], settings: RoutingConfig) -> Routed:
    """Route the picks in their order. A pick without an uncertainty counts as hardest.

    A pick is critical where its likeliest class is, with a probability of ``critical_from`` or more; batch.json keeps
    no other class's, so what is only second likeliest to be critical is told by its uncertainty alone.
    """
    difficulty = np.array([pick.scores.get("uncertainty", np.nan) for pick in picks], np.float64)
    critical = np.array([pick.predicted in settings.critical and (pick.probability or 0.0) >= settings.critical_from
                         for pick in picks], bool)  # fmt: skip
    rates = Rates(settings.crowd_cost, settings.expert_cost, settings.crowd_minutes, settings.expert_minutes,
                  settings.crowd_opinions)  # fmt: skip
    budget = Budget(settings.most_money, settings.most_minutes, settings.most_expert_minutes)
    return route(difficulty, critical, rates, budget, expert_from=settings.expert_from)
