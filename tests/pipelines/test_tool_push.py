"""A batch to Label Studio: each image once, whatever breaks in between."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from activesel.annotations import Annotation, Role
from activesel.catalog import Catalog, FileStamp
from activesel.errors import DataError, UsageError
from activesel.records import ImageRow
from activesel.workspace import create_workspace
from tests.cli.samples import draw_photo
from tests.pipelines.tool_plant import Killed, N, Plant
from tests.tools.fake_label_studio import FakeLabelStudio


def test_a_batch_becomes_a_project(plant: Plant) -> None:
    done = plant.push()
    assert (done.n_new, done.n_known, done.n_predictions, done.n_hidden, done.n_overlap) == (6, 0, 4, 1, 2)
    (project,) = plant.server.projects
    assert project["title"] == "line-4 0001"
    assert '<Choice value="good"/>\n<Choice value="pit"/>' in project["label_config"]
    tasks = plant.server.tasks
    assert [task["data"]["activesel_id"] for task in tasks] == plant.ids
    assert [task["overlap"] for task in tasks] == [2, 2, 1, 1, 1, 1]
    assert [len(task["predictions"]) for task in tasks] == [1, 1, 0, 1, 1, 0], "the blind arm sees none"
    box = tasks[0]["predictions"][0]["result"][1]["value"]
    assert (box["x"], box["y"], box["width"], box["height"]) == (25, 12.5, 50, 37.5)
    assert all({*task["data"]} == {"image", "activesel_id", "batch"} for task in tasks), "gold and arm stay with us"
    assert tasks[0]["data"]["image"].startswith("/data/upload/1/")


def test_a_second_push_changes_nothing(plant: Plant) -> None:
    plant.push()
    before = json.dumps([plant.server.projects, plant.server.tasks, plant.server.files])
    n_writes = len(plant.server.writes)
    done = plant.push()
    assert (done.n_new, done.n_known) == (0, 6)
    assert len(plant.server.writes) == n_writes
    assert json.dumps([plant.server.projects, plant.server.tasks, plant.server.files]) == before


def test_a_dry_run_writes_nothing(plant: Plant) -> None:
    done = plant.push(dry_run=True)
    assert (done.n_new, done.project_id, plant.server.writes) == (6, None, [])
    assert not (plant.workspace.state / "label_studio.json").exists()


def kill_at_request(plant: Plant, number: int, *, answered: bool) -> None:
    def kill(_request: httpx.Request) -> None:
        if len(plant.server.requests) == number:
            raise Killed

    if answered:
        plant.server.after = kill
    else:
        plant.server.before = kill  # type: ignore[assignment]


@pytest.mark.parametrize("answered", [False, True])
def test_a_push_killed_at_any_request_and_run_again(
    plant: Plant, answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """answered: the server did what was asked, and the process died before it heard so."""
    monkeypatch.setattr("activesel.pipelines.tool_images.ServeUpload.part", 4)
    n_kills, number = 0, 1
    while True:
        plant.server = FakeLabelStudio()
        (plant.workspace.state / "label_studio.json").unlink(missing_ok=True)
        kill_at_request(plant, number, answered=answered)
        try:
            plant.push()
        except Killed:
            n_kills += 1
        else:
            break
        plant.server.before, plant.server.after = lambda _: None, lambda _: None
        plant.push()
        assert sorted(task["data"]["activesel_id"] for task in plant.server.tasks) == sorted(plant.ids)
        assert len(plant.server.projects) == 1
        assert sum(task["overlap"] == 2 for task in plant.server.tasks) == 2
        assert len(plant.server.files) <= N + 1, "at most the one upload whose answer was lost"
        number += 1
    assert n_kills > 20


@pytest.mark.parametrize("arrives", [False, True])
def test_a_connection_that_breaks_in_an_import(plant: Plant, arrives: bool) -> None:
    broken = []

    def cut(request: httpx.Request) -> None:
        if request.url.path.endswith("/import") and "json" in request.headers["content-type"] and not broken:
            broken.append(request)
            raise httpx.ReadError("cut", request=request)

    if arrives:
        plant.server.after = cut
    else:
        plant.server.before = cut  # type: ignore[assignment]
    plant.push()
    assert len(broken) == 1
    assert [task["data"]["activesel_id"] for task in plant.server.tasks] == plant.ids


def test_doubles_that_nobody_touched_are_removed(plant: Plant) -> None:
    """A push that was killed went on at the server while the next one had already looked."""
    plant.push()
    server = plant.server
    server.tasks += [{**task, "id": 100 + task["id"], "annotations": []} for task in server.tasks[:3]]
    server.annotate(7, by=1, name="pit")  # of the second pair somebody answered the double
    done = plant.push()
    assert done.n_doubles_removed == 3
    assert sorted(task["id"] for task in server.tasks) == [1, 3, 4, 5, 6, 102]


def test_what_a_wrong_prediction_does(plant: Plant) -> None:
    with Catalog.open(plant.workspace.catalog_place) as catalog:
        catalog.annotations.add([Annotation(plant.ids[4], "head-1", Role.model, "pit", score=1.7, created="later")])
    with pytest.raises(DataError, match=r"head-1 on .*photo 4\.png: a prediction's score is out of range; found 1\.7"):
        plant.push()
    assert plant.server.requests == [], "refused before anything is asked of the server"


def test_classes_grow_and_keep_their_place(plant: Plant) -> None:
    plant.push(names=("zebra",))
    assert plant.push(names=("ash",)).classes == ("good", "pit", "zebra", "ash")
    assert plant.server.projects[0]["label_config"].count('<Choice value="ash"/>') == 1
    assert plant.push().classes == ("good", "pit", "zebra", "ash")


def test_no_classes_yet(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path)
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.add_images([(ImageRow("a" * 32, "/a.png", 1, 1, "PNG"), FileStamp(1, 1))], "s")
        catalog.batches.add("0001", ["a" * 32], ["train"], "2026")
    with pytest.raises(UsageError, match="no classes to choose from yet; name them: --class"):
        Plant(workspace, FakeLabelStudio(), []).push()


def test_images_from_a_disk_that_the_server_shares(plant: Plant, tmp_path: Path) -> None:
    plant.push(root=tmp_path)
    assert plant.server.tasks[0]["data"]["image"] == "/data/local-files/?d=photos/a/photo%200.png"
    assert [one["path"] for one in plant.server.storages] == [str(tmp_path / "photos")]
    assert plant.server.files == []
    with pytest.raises(UsageError, match="does not lie in a folder below"):
        plant.push(root=tmp_path / "photos" / "a", title="another")
    with pytest.raises(UsageError, match="does not lie in a folder below"):
        plant.push(root=tmp_path / "elsewhere", title="a third")


def test_a_file_that_has_changed_is_not_sent(plant: Plant, tmp_path: Path) -> None:
    draw_photo(77).save(tmp_path / "photos" / "a" / "photo 3.png")
    with pytest.raises(DataError, match=r"photo 3\.png: the file has changed"):
        plant.push()
    (tmp_path / "photos" / "a" / "photo 3.png").unlink()
    with pytest.raises(DataError, match=r"photo 3\.png"):
        plant.push()


def test_a_damaged_memory(plant: Plant) -> None:
    (plant.workspace.state / "label_studio.json").write_text('{"servers": {"http://studio.example": {"0001": 3}}}')
    with pytest.raises(DataError, match="damaged; delete it"):
        plant.push()


def test_titles_that_do_not_fit(plant: Plant) -> None:
    with pytest.raises(UsageError, match="3 to 50 characters"):
        plant.push(title="x" * 51)
