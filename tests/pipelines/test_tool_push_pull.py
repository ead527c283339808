"""A batch to Label Studio and back: each image once, each opinion once, whatever breaks in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from activesel.annotations import Annotation, Box, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog, FileStamp
from activesel.errors import DataError, UsageError
from activesel.images import content_id
from activesel.pipelines import tool_push
from activesel.pipelines.tool_pull import pull_batches
from activesel.pipelines.tool_push import PushRequest, PushSummary, push_batch
from activesel.records import ImageRow, Label
from activesel.tools.label_studio import LabelStudio
from activesel.tools.rest import Rest
from activesel.workspace import Workspace, create_workspace
from tests.cli.samples import draw_photo
from tests.tools.fake_label_studio import LEGACY, FakeLabelStudio

N = 6


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Plant:
    """A workspace with a batch of six images, two of which two people shall see and one hides its pre-label."""

    workspace: Workspace
    server: FakeLabelStudio
    ids: list[str]
    url: str = "http://studio.example"

    @contextmanager
    def tool(self) -> Iterator[LabelStudio]:
        rest = Rest(self.url, transport=httpx.MockTransport(self.server.handle), sleep=lambda _: None)
        yield LabelStudio(rest, LEGACY, "--token")
        rest.close()

    def push(self, **more: Any) -> PushSummary:
        with self.tool() as tool:
            return push_batch(self.workspace, PushRequest("0001", **more), tool)

    def pull(self, **more: Any) -> Any:
        with self.tool() as tool:
            return pull_batches(self.workspace, None, tool, **more)[0]

    def opinions(self) -> list[Annotation]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return [one for one in catalog.annotations.read() if one.role is not Role.model]

    def resolutions(self) -> dict[str, Resolution]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return catalog.annotations.resolutions()


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    workspace = create_workspace(tmp_path / "line-4")
    images = tmp_path / "photos" / "a"
    images.mkdir(parents=True)
    rows = []
    for seed in range(N):
        path = images / f"photo {seed}.png"
        draw_photo(seed).save(path)
        rows.append(ImageRow(content_id(path), str(path), 48, 48, "PNG"))
    ids = [row.image_id for row in rows]
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "photos")
        catalog.add_labels([Label(ids[0], "good", "old"), Label(ids[1], "pit", "old")])
        catalog.add_batch("0001", ids, ["train"] * N, "2026-11-26")
        shapes = (Box("pit", 12, 6, 36, 24, 0.75),)
        catalog.annotations.add([Annotation(one, "head-1", Role.model, "pit", shapes, score=0.5) for one in ids[:5]])
        wanted = [Task("0001", one, n_wanted=1 + (i < 2), overlap=i < 2, prelabel="hidden" if i == 2 else "shown",
                       gold=i == 3) for i, one in enumerate(ids)]  # fmt: skip
        catalog.annotations.assign("0001", wanted)
    return Plant(workspace, FakeLabelStudio(), ids)


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
        catalog.add_batch("0001", ["a" * 32], ["train"], "2026")
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


def test_what_people_said_comes_back_once(plant: Plant) -> None:
    plant.push()
    server = plant.server
    server.annotate(0, by=1, name="good")
    server.annotate(0, by=2, name="pit")
    server.annotate(2, by=1, name="pit")
    server.annotate(3, by=2, was_cancelled=True, lead_time=None)
    done = plant.pull()
    assert (done.n_new, done.n_changed, done.n_known, done.n_skipped) == (4, 0, 0, 1)
    assert done.n_by_annotator == {"ann@x.example": 2, "bob@x.example": 2}
    said = plant.opinions()
    assert [(one.image_id, one.annotator, one.name, one.prelabel, one.skipped, one.lead_time_s) for one in said] == [
        (plant.ids[0], "ann@x.example", "good", "shown", "", 2.5),
        (plant.ids[0], "bob@x.example", "pit", "shown", "", 2.5),
        (plant.ids[2], "ann@x.example", "pit", "hidden", "", 2.5),
        (plant.ids[3], "bob@x.example", None, "shown", "skipped", None),
    ]
    assert {key: (one.name, one.state) for key, one in plant.resolutions().items()} == {
        plant.ids[0]: (None, LabelState.raw),
        plant.ids[2]: ("pit", LabelState.raw),
        plant.ids[3]: (None, LabelState.raw),
    }
    assert (plant.pull().n_new, plant.opinions()) == (0, said)


def test_a_pull_asks_for_what_changed_since(plant: Plant) -> None:
    plant.push()
    for number in range(5):
        plant.server.annotate(number, by=1, name="good")
    plant.server.later(hours=1)
    plant.server.annotate(4, by=2, name="good")
    assert plant.pull().n_new == 6
    plant.server.annotate(5, by=1, name="pit")
    done = plant.pull()
    assert (done.n_tasks_changed, done.n_new, done.n_known) == (2, 1, 2), "and what changed in the minute before"
    assert plant.pull(afresh=True).n_known == 7
    assert len(plant.opinions()) == 7


def test_an_answer_that_was_mended_there_is_mended_here(plant: Plant) -> None:
    plant.push()
    made = plant.server.annotate(0, by=1, name="good")
    plant.pull()
    made["result"][0]["value"]["choices"] = ["pit"]
    done = plant.pull(afresh=True)
    assert (done.n_new, done.n_changed) == (0, 1)
    assert [one.name for one in plant.opinions()] == ["pit"]
    assert plant.resolutions()[plant.ids[0]].name == "pit"


def test_a_pull_killed_before_it_notes_how_far_it_came(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("activesel.pipelines.tool_projects.write_json", kill)
        with pytest.raises(Killed):
            plant.pull()
    assert plant.pull().n_known == 1
    assert len(plant.opinions()) == 1


def test_what_we_cannot_hold_is_refused_whole(plant: Plant) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    plant.server.annotate(1, by=1, result=[{"type": "ellipselabels", "value": {}}])
    with pytest.raises(
        DataError, match=r"studio\.example, task 2, annotation \d+, item 1: a shape that we cannot hold"
    ):
        plant.pull()
    assert plant.opinions() == []


def test_a_dry_pull_keeps_nothing(plant: Plant) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    assert plant.pull(dry_run=True).n_new == 1
    assert plant.opinions() == []
    assert plant.pull().n_new == 1


def test_tasks_of_others_are_counted_and_left(plant: Plant) -> None:
    plant.push()
    others = [{"image": "/x.png"}, {"activesel_id": "f" * 32}, {"activesel_id": 7}]
    plant.server.tasks += [{**plant.server.tasks[0], "id": 50 + i, "data": data} for i, data in enumerate(others)]
    assert plant.pull().n_foreign == 3
    assert plant.push().n_doubles_removed == 0


def test_what_an_expert_decided_is_left_alone(plant: Plant) -> None:
    plant.push()
    decided = Resolution(plant.ids[0], "pit", LabelState.adjudicated, by="eve")
    with Catalog.open(plant.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([decided])
    plant.server.annotate(0, by=1, name="good")
    plant.pull()
    assert plant.resolutions() == {plant.ids[0]: decided}


def test_a_project_that_is_gone(plant: Plant) -> None:
    plant.push()
    plant.server.projects.clear()
    plant.server.tasks.clear()
    with pytest.raises(DataError, match=r"project 'line-4 0001' is gone; push it again"):
        plant.pull()
    assert plant.push().n_new == 6


def test_nothing_was_pushed(plant: Plant) -> None:
    with pytest.raises(UsageError, match="nothing was pushed"):
        plant.pull()


def test_a_damaged_memory(plant: Plant) -> None:
    (plant.workspace.state / "label_studio.json").write_text('{"servers": {"http://studio.example": {"0001": 3}}}')
    with pytest.raises(DataError, match="damaged; delete it"):
        plant.push()


def test_titles_that_do_not_fit(plant: Plant) -> None:
    with pytest.raises(UsageError, match="3 to 50 characters"):
        plant.push(title="x" * 51)
    assert tool_push.ID_KEY == "activesel_id"
