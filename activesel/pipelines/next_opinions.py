"""The story of `activesel assign --next`: who is asked once more, and what an expert gets, by what has been said."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from activesel.annotations import LabelState, Task
from activesel.catalog import Catalog
from activesel.errors import UsageError
from activesel.pipelines.batch_opinions import BatchOpinions, read_opinions, verdicts_of
from activesel.pipelines.consensus import Agreed, agree
from activesel.routing import CROWD, EXPERT
from activesel.staging import Stage, plan_stage, target_of
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Next:
    """tasks: of the batch, as they shall be. n_again: images that another person shall see; n_expert: an expert.

    n_done: images whose label is left as it is. n_waiting: those that lack opinions asked for earlier. error: share of
    wrong labels to be expected among the n_done, 0..1; target: what it may be. is_new: something changes.
    """

    batch_id: str
    tasks: tuple[Task, ...]
    n_again: int
    n_expert: int
    n_done: int
    n_waiting: int
    error: float
    target: float
    is_new: bool


def plan_next(workspace: Workspace, batch_id: str) -> Next:
    """Say where one more opinion pays, by the consensus of all that was said. Writes nothing.

    An image is left alone while opinions asked for earlier are missing, and once an expert decided.

    Raises:
        DataError: no such batch. UsageError: nobody was assigned to it, or nobody has labelled.
    """
    opinions, quality = read_opinions(workspace, batch_id), workspace.config.quality
    if not opinions.assigned or not opinions.people:
        raise UsageError("nothing to go on from", where=f"batch {batch_id}", expected="a batch that was assigned and "
                         "that somebody has labelled", hint="run `activesel assign` first")  # fmt: skip
    agreed = agree(opinions, quality.model_weight)
    said = {i: len(verdicts_of(opinions.people.get(i, {}), opinions.good)) for i in opinions.tasks}
    open_ = [i for i, one in opinions.tasks.items() if not one.gold and not _is_decided(opinions, i)]
    ready = [i for i in open_ if said[i] and len(opinions.people[i]) >= opinions.tasks[i].n_wanted]
    target = target_of(quality.label_error, agreed.confusion, agreed.prevalence)
    stage = _plan(agreed, ready, said, target, quality.most_opinions)
    again = {i for i, asked in zip(ready, stage.again.tolist(), strict=True) if asked}
    expert = {i for i, asked in zip(ready, stage.expert.tolist(), strict=True) if asked}
    tasks = tuple(_ask(one, again, expert, len(opinions.people.get(one.image_id, {})))
                  for one in opinions.tasks.values())  # fmt: skip
    return Next(batch_id, tasks, len(again), len(expert), len(ready) - len(again) - len(expert),
                len(open_) - len(ready), stage.error, target, tasks != tuple(opinions.tasks.values()))  # fmt: skip


def ask_next(workspace: Workspace, batch_id: str) -> Next:
    """Plan and record; again without new opinions, and nothing changes. The caller holds the workspace's lock.

    Raises:
        DataError, UsageError: as plan_next.
    """
    planned = plan_next(workspace, batch_id)
    if planned.is_new:
        with Catalog.open(workspace.catalog_place) as catalog:
            catalog.annotations.assign(batch_id, planned.tasks)
    return planned


def _plan(agreed: Agreed, ready: list[str], said: dict[str, int], target: float, most: int) -> Stage:
    posterior = agreed.posterior[[agreed.place[i] for i in ready]]
    return plan_stage(posterior, np.array([said[i] for i in ready], np.int64), target, most)


def _ask(task: Task, again: set[str], expert: set[str], n_said: int) -> Task:
    """What was sent to an expert stays there, unless another person may be asked by now."""
    if task.image_id in again:
        return replace(task, route=CROWD, n_wanted=n_said + 1)
    if task.image_id in expert:
        return replace(task, route=EXPERT)
    return task


def _is_decided(opinions: BatchOpinions, image_id: str) -> bool:
    present = opinions.resolved.get(image_id)
    return present is not None and present.state in (LabelState.adjudicated, LabelState.rejected)
