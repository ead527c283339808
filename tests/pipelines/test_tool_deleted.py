"""Annotations that were deleted in Label Studio count no more, and only they."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from activesel.annotations import LabelState, Resolution
from activesel.catalog import Catalog
from activesel.errors import UnreachableError
from tests.pipelines.tool_plant import Killed, Plant, answer_all, import_export


def withdrawn(plant: Plant) -> list[tuple[str, str]]:
    with Catalog.open(plant.workspace.catalog_place) as catalog:
        return [(one.annotation.annotator, one.why) for one in catalog.annotations.withdrawn()]


@pytest.mark.parametrize("noticed_there", [False, True], ids=["counted", "changed"])
def test_what_was_deleted_there_counts_no_more(plant: Plant, noticed_there: bool) -> None:
    plant.push()
    answer_all(plant)
    plant.server.annotate(1, by=1, name="good")
    plant.server.annotate(1, by=2, name="pit")
    plant.pull()
    assert plant.resolutions()[plant.ids[1]].name is None
    plant.server.later(hours=1)
    del plant.server.tasks[1]["annotations"][0]
    del plant.server.tasks[5]["annotations"][0]
    if noticed_there:
        plant.server.tasks[1]["updated_at"] = plant.server.tasks[5]["updated_at"] = plant.server._tick()
    assert plant.pull(dry_run=True).n_withdrawn == 2
    assert withdrawn(plant) == []
    assert plant.pull().n_withdrawn == 2
    place = "deleted in http://studio.example project 1"
    assert withdrawn(plant) == [("ann@x.example", place), ("ann@x.example", place)]
    found = plant.resolutions()
    assert (found[plant.ids[1]].name, found[plant.ids[5]].name) == ("pit", None)
    with Catalog.open(plant.workspace.catalog_place) as catalog:
        labels = {key: label.name for key, label in catalog.labels().items() if label.source == "resolved"}
    assert plant.ids[5] not in labels, "its only opinion is gone, and so is the label"
    assert plant.pull().n_withdrawn == plant.pull(afresh=True).n_withdrawn == 0


def test_an_older_file_does_not_bring_back_what_was_deleted(plant: Plant, tmp_path: Path) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    plant.pull()
    (deleted,) = plant.server.tasks[0]["annotations"]
    plant.server.tasks[0]["annotations"] = []
    plant.pull()
    plant.server.tasks[0]["annotations"] = [deleted]
    told = import_export(plant, tmp_path, dry_run=True)
    done = import_export(plant, tmp_path)
    assert replace(told, dry_run=False) == done
    assert (done.n_new, done.n_known, plant.opinions()) == (0, 1, [])
    assert plant.pull().n_new == 1, "it stands there again"
    assert [one.name for one in plant.opinions()] == ["good"]
    assert withdrawn(plant) == []


def test_a_task_that_was_removed_takes_nothing_back(plant: Plant) -> None:
    plant.push()
    answer_all(plant)
    plant.pull()
    del plant.server.tasks[0]
    assert plant.pull(afresh=True).n_withdrawn == 0
    assert len(plant.opinions()) == 6


def test_of_two_tasks_of_an_image_both_are_looked_at(plant: Plant) -> None:
    plant.push()
    plant.server.tasks.append({**plant.server.tasks[0], "id": 50, "annotations": []})
    plant.server.annotate(0, by=1, name="good")
    plant.server.annotate(6, by=2, name="pit", unique_id="u-double")
    plant.pull()
    plant.server.later(hours=1)
    plant.server.annotate(0, by=7, name="pit")
    assert (plant.pull().n_withdrawn, len(plant.opinions())) == (0, 3)


def test_a_partial_answer_withdraws_nothing(plant: Plant) -> None:
    """A task that was asked for and did not come."""
    plant.push()
    answer_all(plant)
    plant.pull()
    plant.server.tasks[0]["annotations"] = []

    def leave_out(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json=[]) if request.url.path.endswith("/export") else None

    plant.server.before = leave_out
    assert plant.pull(afresh=True).n_withdrawn == 0
    assert len(plant.opinions()) == 6


def test_a_server_that_stops_answering_withdraws_nothing(plant: Plant) -> None:
    plant.push()
    answer_all(plant)
    plant.pull()
    plant.server.tasks[0]["annotations"] = []

    def stop(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503) if request.url.path.endswith("/export") else None

    plant.server.before = stop
    with pytest.raises(UnreachableError):
        plant.pull()
    assert (len(plant.opinions()), withdrawn(plant)) == (6, [])


def test_what_an_expert_decided_survives_a_deletion(plant: Plant) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    plant.pull()
    decided = Resolution(plant.ids[0], "pit", LabelState.adjudicated, by="eve")
    with Catalog.open(plant.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([decided])
    plant.server.tasks[0]["annotations"] = []
    assert plant.pull().n_withdrawn == 1
    assert plant.resolutions() == {plant.ids[0]: decided}


def test_a_pull_killed_between_recording_and_withdrawing(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant.push()
    answer_all(plant)
    plant.pull()
    plant.server.tasks[0]["annotations"] = []
    plant.server.annotate(1, by=1, name="pit")

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("activesel.catalog.annotations.Annotations.withdraw", kill)
        with pytest.raises(Killed):
            plant.pull()
    assert (plant.pull().n_withdrawn, len(plant.opinions())) == (2, 5)
