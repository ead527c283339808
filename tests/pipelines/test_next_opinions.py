"""assign --next: another opinion where it pays, an expert where it does not, and nothing asked for twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from activesel.adjudication import Reason
from activesel.annotations import Annotation, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.errors import UsageError
from activesel.pipelines.adjudicate import queue
from activesel.pipelines.assign import AssignRequest, assign_batch
from activesel.pipelines.batch_opinions import read_opinions
from activesel.pipelines.consensus import agree, believe_model
from activesel.pipelines.next_opinions import Next, ask_next, plan_next
from tests.pipelines.opinions import BATCH, assign, make_batch, picks_of, say
from tests.pipelines.workspaces import Job

ALONE = ("quality.model_weight=0", "embedding.good=free")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """One opinion of each image; ann said of the first what nobody else would have."""
    made = make_batch(tmp_path, monkeypatch)
    assign(made.workspace, [Task(BATCH, i) for i in picks_of(made)])
    say(made.workspace, "ann", {i: made.kind_of(i) for i in picks_of(made)})
    return made


def next_of(job: Job, *settings: str) -> Next:
    return ask_next(job.open(*ALONE, *settings), BATCH)


def wanted(job: Job) -> dict[str, Task]:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        return {task.image_id: task for task in catalog.annotations.tasks(BATCH)}


def test_what_errs_too_often_is_asked_again_and_then_of_an_expert(job: Job) -> None:
    ids = picks_of(job)
    first = next_of(job, "quality.label_error=0")
    assert (first.n_again, first.n_expert, first.n_waiting, first.is_new) == (len(ids), 0, 0, True)
    assert all(task.n_wanted == 2 and task.route == "crowd" for task in wanted(job).values())
    again = next_of(job, "quality.label_error=0")
    assert (again.n_again, again.n_waiting, again.is_new) == (0, len(ids), False), "it waits for what it asked for"
    say(job.workspace, "bob", {ids[0]: "odd", ids[1]: job.kind_of(ids[1])})
    then = next_of(job, "quality.label_error=0")
    assert (then.n_again, then.n_expert, then.n_waiting) == (0, 2, len(ids) - 2)
    assert {i for i, task in wanted(job).items() if task.route == "expert"} == set(ids[:2])
    found = {item.image_id: item.code for item in queue(job.open(*ALONE), BATCH)}
    assert found[ids[0]] is Reason.disagree
    assert found[ids[1]] is Reason.unsure, "they agree, and are not sure enough for all that"
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(i, "pit", LabelState.adjudicated, by="eve") for i in ids[:2]])
    assert next_of(job, "quality.label_error=0").n_expert == 0, "decided is decided"


def test_what_is_good_enough_is_left_alone(job: Job) -> None:
    assert next_of(job, "quality.label_error=0.4").is_new is False
    some = next_of(job, "quality.label_error=0.06")
    assert some.error <= some.target == 0.06
    more = next_of(job, "quality.label_error=0.06", "quality.most_opinions=1")
    assert more.n_again == 0


def test_planning_writes_nothing_and_assigning_undoes_nothing(job: Job) -> None:
    before = wanted(job)
    assert plan_next(job.open(*ALONE, "quality.label_error=0"), BATCH).is_new
    assert wanted(job) == before
    next_of(job, "quality.label_error=0")
    after = wanted(job)
    assign_batch(job.open(*ALONE), BATCH, AssignRequest(overlap=0, gold=0, blind_arm=0))
    assert wanted(job) == after


def test_a_batch_that_nobody_was_assigned_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = make_batch(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match="nothing to go on from"):
        plan_next(bare.workspace, BATCH)


def test_a_model_that_agrees_saves_an_opinion_and_one_that_does_not_asks_for_one(job: Job) -> None:
    ids = picks_of(job)
    with Catalog.open(job.workspace.catalog_place) as catalog:
        said = {i: job.kind_of(i) for i in ids} | {ids[0]: "odd"}
        catalog.annotations.add([Annotation(i, "head-1", Role.model, name, score=0.99) for i, name in said.items()])
    opinions = read_opinions(job.open("embedding.good=free"), BATCH)
    alone, with_model = agree(opinions), agree(opinions, 1.0)
    name = job.kind_of(ids[0])
    assert with_model.confidence_in(ids[0], name) < alone.confidence_in(ids[0], name)
    other = job.kind_of(ids[5])
    assert with_model.confidence_in(ids[5], other) > alone.confidence_in(ids[5], other)
    half = agree(opinions, 0.5).confidence_in(ids[0], name)
    assert with_model.confidence_in(ids[0], name) < half < alone.confidence_in(ids[0], name)


def test_where_a_model_has_no_say(job: Job) -> None:
    """Not where somebody saw its answer, not of gold, and not of images that measure models."""
    ids = picks_of(job)
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.add([Annotation(i, "head-1", Role.model, "pit", score=0.99) for i in ids])
    say(job.workspace, "bob", {ids[0]: "pit"}, prelabel="shown")
    say(job.workspace, "bob", {ids[1]: "pit"}, prelabel="hidden")
    say(job.workspace, "key", {ids[2]: "pit"}, Role.gold)
    opinions = read_opinions(job.workspace, BATCH)
    assert set(believe_model(opinions)) == set(ids) - {ids[0], ids[2]}
    picks = opinions.picks | {ids[3]: replace(opinions.picks[ids[3]], kind="evaluation")}
    assert set(believe_model(replace(opinions, picks=picks))) == set(ids) - {ids[0], ids[2], ids[3]}
