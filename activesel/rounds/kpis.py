"""What a round took and brought: opinions, minutes, money, defects, and what a defect or a point of recall cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activesel.annotations import Annotation, Role
from activesel.catalog import Catalog
from activesel.config import RoutingConfig
from activesel.models import Alias
from activesel.rounds.record import Round
from activesel.settling import PEOPLE
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Effort:
    """Of people. minutes: as tools measured them, and as routing.*_minutes says where they did not. money: at
    routing.*_cost."""

    n_opinions: int
    n_expert: int
    minutes: float
    money: float


@dataclass(frozen=True)
class Kpis:
    """One round. n_defects: labelled images of another class than the good one, None where no good class is known.

    recall: of the round's model at the false-reject rate of its evaluation, with its interval; before: the
    champion's until then; None where not measured. kappa: with its interval. outcome: of the gate, "" before it.
    """

    number: int
    batch: str
    n_labelled: int
    n_defects: int | None
    by_class: Mapping[str, int]
    effort: Effort
    kappa: tuple[float, float, float] | None
    recall: tuple[float, float, float] | None
    before: float | None
    outcome: str
    reason: str
    model: str
    champion: str
    alarms: tuple[str, ...]

    @property
    def money_per_defect(self) -> float | None:
        return self.effort.money / self.n_defects if self.n_defects else None

    @property
    def money_per_point(self) -> float | None:
        """Money for a hundredth of recall more than the champion's before; None where there is no gain."""
        if self.recall is None or self.before is None or self.recall[0] <= self.before:
            return None
        return self.effort.money / (100 * (self.recall[0] - self.before))


def measure_kpis(workspace: Workspace, current: Round) -> Kpis:
    """Add up what a round took and brought, as far as it has come."""
    batch = str(current.result("select").get("batch", ""))
    with Catalog.open(workspace.catalog_place) as catalog:
        ids = {task.image_id for task in catalog.annotations.tasks(batch)} if batch else set()
        gold = {task.image_id for task in catalog.annotations.tasks(batch) if task.gold} if batch else set()
        said, labels = catalog.annotations.read(ids), catalog.labels_of(ids - gold)
        champion = catalog.models.aliases().get(Alias.champion, "")
        cards = {card.model_id: card for card in catalog.models.cards()}
    model = str(current.result("train").get("model", ""))
    good = workspace.config.embedding.good or (cards[model].good if model in cards else None)
    gate, evaluated = current.result("gate"), current.result("evaluate")
    return Kpis(
        current.number, batch, len(labels), None if good is None else sum(name != good for name in labels.values()),
        dict(Counter(labels.values()).most_common()), count_effort(said, workspace.config.routing),
        _triple(current.result("quality").get("kappa")), _triple(evaluated.get("recall")), _value(gate.get("before")),
        str(gate.get("outcome", "")), str(gate.get("reason", "")), model, champion,
        tuple(map(str, current.result("monitor").get("alarms", ()))),
    )  # fmt: skip


def count_effort(said: Sequence[Annotation], rates: RoutingConfig) -> Effort:
    """Add up what people's opinions took."""
    people = [one for one in said if one.role in PEOPLE]
    n_expert = sum(one.role is Role.expert for one in people)
    minutes = sum(
        one.lead_time_s / 60 if one.lead_time_s is not None
        else (rates.expert_minutes if one.role is Role.expert else rates.crowd_minutes)
        for one in people
    )  # fmt: skip
    money = n_expert * rates.expert_cost + (len(people) - n_expert) * rates.crowd_cost
    return Effort(len(people), n_expert, minutes, money)


def _triple(value: Any) -> tuple[float, float, float] | None:
    if not value or any(part is None or not math.isfinite(part) for part in value):
        return None
    return float(value[0]), float(value[1]), float(value[2])


def _value(found: Any) -> float | None:
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None
