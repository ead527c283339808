"""The story of `activesel round status`: where each step stands, since when and whose, and what is late. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from activesel.catalog import Catalog
from activesel.config import Config
from activesel.models import Alias
from activesel.rounds.engine import is_held
from activesel.rounds.record import ENDED, Round, StepState, find_round, read_rounds
from activesel.rounds.steps import TITLES
from activesel.workspace import Workspace

_OF_PEOPLE = ("label", "adjudicate", "promote")


@dataclass(frozen=True)
class StepStatus:
    """One step. hours: since it was begun, until it ended or until now; None = not begun. state: "interrupted" where a
    process began it and is gone."""

    name: str
    title: str
    state: str
    started: str
    hours: float | None
    owner: str
    message: str


@dataclass(frozen=True)
class RoundStatus:
    """breaches: what is late or below what was agreed, in sentences. next_step: what to run or to do."""

    number: int
    n_rounds: int
    finished: bool
    steps: tuple[StepStatus, ...]
    breaches: tuple[str, ...]
    next_step: str


def read_round_status(workspace: Workspace, number: int | None = None) -> RoundStatus:
    """Tell where a round stands, None = the last.

    Raises:
        DataError: there is none.
    """
    current, moment = find_round(workspace, number), datetime.now(UTC)
    held = is_held(workspace)
    steps = tuple(
        StepStatus(one.name, TITLES.get(one.name, one.name),
                   "interrupted" if one.state is StepState.running and not held else one.state.value,
                   one.started, _hours(one.started, one.finished, moment), one.owner, one.message)
        for one in current.steps
    )  # fmt: skip
    known = read_rounds(workspace)
    breaches = find_breaches(known, workspace.config, _champion_since(workspace), moment)
    return RoundStatus(current.number, len(known), current.is_finished, steps, tuple(breaches),
                       _next(current, steps, held=held))  # fmt: skip


def find_breaches(
    rounds: Sequence[Round], config: Config, champion_data: datetime | None, moment: datetime
) -> list[str]:
    """Return what is late or too low, of the last round and the champion.

    champion_data: when the data of the champion were frozen, None = no champion.
    """
    found = []
    settings = config.rounds
    for step in rounds[-1].steps if rounds else ():
        hours = _hours(step.started, step.finished, moment)
        if step.name in _OF_PEOPLE and step.state not in ENDED and hours is not None and hours > settings.label_hours:
            found.append(f"{step.name}: people have had it for {hours:.0f} hours, {settings.label_hours:g} are agreed")
    kappas = [one.result("quality").get("kappa") for one in rounds]
    known = [kappa for kappa in kappas if kappa is not None]
    if known and known[-1][0] < config.quality.least_kappa:
        found.append(f"kappa: {known[-1][0]:.2f} in the last round measured, {config.quality.least_kappa:g} is wanted")
    if champion_data is not None and (age := (moment - champion_data).total_seconds() / 86400) > settings.fresh_days:
        found.append(f"freshness: the champion's data are {age:.0f} days old, {settings.fresh_days:g} are agreed")
    return found


def _champion_since(workspace: Workspace) -> datetime | None:
    """Return when the champion was trained, None without one."""
    with Catalog.open(workspace.catalog_place) as catalog:
        champion = catalog.models.aliases().get(Alias.champion)
        created = next((one.created for one in catalog.models.cards() if one.model_id == champion), None)
    return None if created is None else _parse(created)


def _hours(started: str, finished: str, moment: datetime) -> float | None:
    if not started:
        return None
    return ((_parse(finished) if finished else moment) - _parse(started)).total_seconds() / 3600


def _parse(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _next(current: Round, steps: Sequence[StepStatus], *, held: bool) -> str:
    if current.is_finished:
        return "begin the next round: activesel round run"
    if held:
        return "a process is running it; wait"
    at = next(one for one in steps if one.state not in ENDED)
    return at.message if at.message else "go on: activesel round resume"
