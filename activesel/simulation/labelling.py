"""What simulated people do where a round waits for them: label the open tasks, decide the experts' queue."""

from __future__ import annotations

from dataclasses import dataclass

from activesel.annotations import Annotation, Role
from activesel.catalog import Catalog
from activesel.pipelines.adjudicate import decide, queue
from activesel.pipelines.opinions import record
from activesel.rounds.record import Round
from activesel.routing import EXPERT
from activesel.simulation.people import SOURCE, Crowd
from activesel.workspace import Workspace


def answer(workspace: Workspace, current: Round, crowd: Crowd) -> None:
    """Do what the round waits for; the same again changes nothing."""
    waiting = next(one.name for one in current.steps if one.state == "waiting")
    batch_id = str(current.result("select")["batch"])
    if waiting == "label":
        _label(workspace, batch_id, crowd)
    elif waiting == "adjudicate":
        _decide(workspace, batch_id, crowd)
    else:
        raise AssertionError(f"nobody is simulated for step {waiting}")


def _label(workspace: Workspace, batch_id: str, crowd: Crowd) -> None:
    with workspace.lock("simulate"), Catalog.open(workspace.catalog_place) as catalog:
        opinions = [
            crowd.say(person, task.image_id)
            for task in catalog.annotations.tasks(batch_id)
            for person in crowd.pick(task.image_id, task.n_wanted, expert=task.route == EXPERT)
        ]
        record(catalog, opinions, good=workspace.config.embedding.good, dry_run=False)


def _decide(workspace: Workspace, batch_id: str, crowd: Crowd) -> None:
    for item in queue(workspace, batch_id):
        expert = crowd.pick(item.image_id, 1, expert=True)[0]
        said = crowd.say(expert, item.image_id)
        decide(workspace, item.image_id, said.name, expert.name, reason=said.skipped)


@dataclass(frozen=True)
class Spent:
    """What a workspace's labels took so far. n_opinions: of people; n_decisions of them by experts in the queue."""

    n_opinions: int
    n_decisions: int
    minutes: float
    money: float


def count_spent(workspace: Workspace, crowd: Crowd) -> Spent:
    """Add up the opinions there are, each at its person's rates."""
    rates = {one.name: one for one in crowd.profile.people}
    with Catalog.open(workspace.catalog_place) as catalog:
        said = [one for one in catalog.annotations.read() if one.annotator in rates]
    decisions = [one for one in said if one.source != SOURCE]
    seconds = sum(_seconds(one, crowd) for one in said)
    return Spent(len(said), len(decisions), seconds / 60, sum(rates[one.annotator].money for one in said))


def _seconds(one: Annotation, crowd: Crowd) -> float:
    if one.lead_time_s is not None:
        return one.lead_time_s
    person = next(person for person in crowd.profile.people if person.name == one.annotator)
    return person.seconds if one.role is Role.expert else 0.0
