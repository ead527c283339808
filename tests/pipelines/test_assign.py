"""activesel assign: drawn once, before labels, the same every time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from activesel.annotations import Annotation, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.catalog.annotations import Annotations
from activesel.errors import RefusedError
from activesel.pipelines.assign import (
    AssignRequest,
    assign_batch,
    expect_prevalence,
    expect_spend,
    plan_tasks,
    route_by_settings,
)
from activesel.pipelines.batch_file import read_batch
from tests.pipelines.opinions import BATCH, make_batch, picks_of, say
from tests.pipelines.workspaces import Job


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return make_batch(tmp_path, monkeypatch, budget=20)


def stored(job: Job) -> tuple[Task, ...]:
    with Catalog.open(job.workspace.catalog_path) as catalog:
        return tuple(catalog.annotations.tasks(BATCH))


def add_gold(job: Job) -> list[str]:
    gold = [i for i in job.ids if i not in picks_of(job)]
    say(job.workspace, "boss", {i: job.kind_of(i) for i in gold}, Role.gold)
    return gold


def test_shares_of_a_batch(job: Job) -> None:
    gold = add_gold(job)
    assigned = assign_batch(job.workspace, BATCH, AssignRequest(0.2, 0.25, 0.5))
    own = [task for task in assigned.tasks if not task.gold]
    assert [task.image_id for task in own] == picks_of(job), "in the order of the picks"
    assert sum(task.overlap for task in own) == 4
    assert all(task.n_wanted == 1 + task.overlap for task in own)
    known = [task for task in assigned.tasks if task.gold]
    assert len(known) == 5
    assert {task.image_id for task in known} <= set(gold)
    assert len({job.kind_of(task.image_id) for task in known}) == 4, "of every class"
    assert all(task.n_wanted == 2 and task.prelabel == "hidden" for task in known), "they look like the overlap"
    assert sum(task.prelabel == "hidden" for task in own) == 10
    assert all(task.prelabel == "hidden" for task in own if task.overlap)
    assert assigned.n_opinions == 20 + 4 + 10
    assert stored(job) == assigned.tasks


def test_the_same_again_changes_nothing_even_when_labelled(job: Job) -> None:
    add_gold(job)
    request = AssignRequest(0.2, 0.1, 0.1)
    first = assign_batch(job.workspace, BATCH, request)
    assert first.is_new
    assert not assign_batch(job.workspace, BATCH, request).is_new
    say(job.workspace, "ann", {picks_of(job)[0]: "pit"})
    assert not assign_batch(job.workspace, BATCH, request).is_new
    with pytest.raises(RefusedError, match="would not be blind"):
        assign_batch(job.workspace, BATCH, AssignRequest(0.4, 0.1, 0.1))
    assert stored(job) == first.tasks


def test_gold_that_comes_later_does_not_disturb_a_labelled_batch(job: Job) -> None:
    gold = [i for i in job.ids if i not in picks_of(job)]
    say(job.workspace, "boss", {gold[0]: "pit", gold[1]: "crack"}, Role.gold)
    request = AssignRequest(0.2, 0.1, 0.1)
    assign_batch(job.workspace, BATCH, request)
    say(job.workspace, "ann", {picks_of(job)[0]: "pit"})
    say(job.workspace, "boss", {i: job.kind_of(i) for i in gold[2:]}, Role.gold)
    assert not assign_batch(job.workspace, BATCH, request).is_new


def test_a_labelled_batch_is_never_drawn_for_the_first_time(job: Job) -> None:
    job.label_ids(picks_of(job)[:1])
    with pytest.raises(RefusedError, match="labels of 1 images"):
        plan_tasks(job.workspace, BATCH, AssignRequest())


def test_weak_labels_are_nobodys(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.annotations.resolve([Resolution(picks_of(job)[0], "pit", LabelState.weak, 0.7, "rules")])
    assert plan_tasks(job.workspace, BATCH, AssignRequest()).is_new


def test_another_seed_draws_others(job: Job) -> None:
    first = plan_tasks(job.workspace, BATCH, AssignRequest(0.3))
    other = plan_tasks(job.open("seed=1"), BATCH, AssignRequest(0.3))
    assert first.tasks != other.tasks
    assert stored(job) == ()


def test_without_prelabels_nothing_is_hidden(job: Job) -> None:
    assert {task.prelabel for task in plan_tasks(job.workspace, BATCH, AssignRequest(blind_arm=0)).tasks} == {""}


def test_the_seam_for_routing(job: Job) -> None:
    first = picks_of(job)[0]
    assigned = plan_tasks(job.workspace, BATCH, AssignRequest(route=lambda picks: {picks[0].image_id: "expert"}))
    assert [task.image_id for task in assigned.tasks if task.route == "expert"] == [first]


def test_routes_by_the_settings_end_with_the_budget(job: Job) -> None:
    workspace = job.open("routing.most_money=1.0", "routing.crowd_cost=0.1", "routing.expert_cost=0.5",
                         "routing.expert_from=1", "routing.crowd_opinions=2")  # fmt: skip
    assigned = plan_tasks(workspace, BATCH, AssignRequest(0.5, 0, route=route_by_settings(workspace)))
    assert [task.image_id for task in assigned.tasks] == picks_of(job)[:5], "two opinions at 0.1 each, of 1.0"
    assert {task.n_wanted for task in assigned.tasks} == {2}
    assert expect_spend(workspace, assigned.tasks) == pytest.approx((1.0, 10 * 0.2))
    assert "15 picks are nobody's" in assigned.notes[-1]
    dear = job.open("routing.expert_from=0", "routing.expert_cost=0.5")
    routed = plan_tasks(dear, BATCH, AssignRequest(0, 0, route=route_by_settings(dear)))
    assert {task.route for task in routed.tasks} == {"expert"}
    assert expect_spend(dear, routed.tasks) == pytest.approx((10.0, 10.0))


def test_a_rare_class_is_overlapped_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_batch(tmp_path, monkeypatch, n=48, budget=1)
    job.label(range(12))
    job.select(20)
    picks = read_batch(job.workspace, "0002").picks
    assert expect_prevalence(picks, "free") is not None
    assert expect_prevalence(picks, "unknown") is None
    assigned = plan_tasks(job.open("embedding.good=free", "quality.half_width=0.25"), "0002", AssignRequest(0.1))
    assert 2 < sum(task.overlap for task in assigned.tasks) < 20
    assert assigned.prevalence == expect_prevalence(picks, "free")


def test_only_what_is_asked_for_is_read(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gold by its role, the batch's own opinions by their images; never all there are."""
    gold = add_gold(job)
    say(job.workspace, "ann", {gold[0]: "pit"})
    say(job.workspace, "boss", {gold[1]: None}, Role.gold)
    with Catalog.open(job.workspace.catalog_place) as catalog:
        known = catalog.annotations.read(role=Role.gold)
        assert {one.role for one in known} == {Role.gold}
        assert len(known) == len(gold) + 1
        assert [one.annotator for one in catalog.annotations.read([gold[0]], role=Role.annotator)] == ["ann"]
    original = Annotations.read
    given: list[tuple[object, ...]] = []

    def read(
        self: Annotations, image_ids: Iterable[str] | None = None, *, role: Role | None = None
    ) -> list[Annotation]:
        given.append((image_ids, role))
        return original(self, image_ids, role=role)

    monkeypatch.setattr(Annotations, "read", read)
    assert not plan_tasks(job.workspace, BATCH, AssignRequest(0.2, 0.25, 0.5)).notes[1:]
    assert given
    assert all(ids is not None or role is Role.gold for ids, role in given)
