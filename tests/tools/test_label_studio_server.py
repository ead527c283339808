"""The real thing: push, two people at work over REST, pull, and both again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from activesel.annotations import Annotation, Box, Mask, Polygon, Role, Shape, Task
from activesel.catalog import Catalog, FileStamp
from activesel.images import content_id
from activesel.labels.label_studio_results import results_of
from activesel.records import ImageRow, Label
from activesel.workspace import Workspace, create_workspace
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.cli.samples import draw_photo
from tests.tools.label_studio_server import TOKEN, NoLabelStudioError, RealLabelStudio, annotate, run_label_studio

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]
SIZE = (48, 48)
DRAWN: tuple[Shape, ...] = (Box("pit", 12, 6, 36, 24), Polygon("pit", ((0, 0), (48, 0), (6, 48))),
                            Mask("good", 3, 3, 3, 2, (0, 2, 2, 2)))  # fmt: skip


@pytest.fixture(scope="module")
def studio() -> Iterator[RealLabelStudio]:
    try:
        with run_label_studio() as server:
            yield server
    except NoLabelStudioError as error:
        pytest.skip(str(error))


def make_workspace(folder: Path, photos: Path) -> tuple[Workspace, list[str]]:
    """Six images: two for two people, one whose pre-label is hidden."""
    workspace = create_workspace(folder)
    photos.mkdir(parents=True)
    rows = []
    for seed in range(6):
        path = photos / f"photo {seed}.png"
        draw_photo(seed).save(path)
        rows.append(ImageRow(content_id(path), str(path), *SIZE, "PNG"))
    ids = [row.image_id for row in rows]
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "photos")
        catalog.add_labels([Label(ids[0], "good", "old")])
        catalog.batches.add("0001", ids, ["train"] * 6, "2026-11-26")
        catalog.annotations.add([Annotation(one, "head-1", Role.model, "pit", DRAWN, score=0.5) for one in ids])
        catalog.annotations.assign("0001", [
            Task("0001", one, n_wanted=1 + (i < 2), overlap=i < 2, prelabel="hidden" if i == 2 else "shown")
            for i, one in enumerate(ids)
        ])  # fmt: skip
    return workspace, ids


def queue_of(client: httpx.Client, project: int) -> int | None:
    """The task that the server gives this person next."""
    answer = client.get(f"/api/projects/{project}/next")
    return None if answer.status_code == 404 else int(answer.raise_for_status().json()["id"])


def choose(name: str) -> list[dict[str, Any]]:
    return [{"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [name]}}]


def opinions(workspace: Workspace) -> list[Annotation]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return [one for one in catalog.annotations.read() if one.role is not Role.model]


def test_two_people_label_a_batch(
    cli: Cli, studio: RealLabelStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, ids = make_workspace(tmp_path / "line-4", tmp_path / "photos")
    monkeypatch.setenv("ACTIVESEL_LABEL_STUDIO_TOKEN", TOKEN)
    server = ("--url", studio.url, "-w", workspace.root, "--json")
    assert cli("label-studio", "push", *server, "--dry-run").json["n_new"] == 6
    pushed = cli("label-studio", "push", *server)
    assert pushed.code == 0, pushed.err
    assert (pushed.json["n_new"], pushed.json["n_predictions"], pushed.json["n_overlap"]) == (6, 5, 2)
    project = pushed.json["project_id"]
    with studio.client() as ann, studio.client(studio.add_user("bob")) as bob:
        tasks = ann.get("/api/tasks", params={"project": project, "fields": "all"}).json()["tasks"]
        by_image = {task["data"]["activesel_id"]: task for task in tasks}
        assert [by_image[one]["overlap"] for one in ids] == [2, 2, 1, 1, 1, 1]
        assert [len(by_image[one]["predictions"]) for one in ids] == [1, 1, 0, 1, 1, 1]
        image = ann.get(by_image[ids[0]]["data"]["image"])
        assert image.content == (tmp_path / "photos" / "photo 0.png").read_bytes()
        again = cli("label-studio", "push", *server).json
        assert (again["n_new"], again["n_known"]) == (0, 6)
        assert ann.get("/api/tasks", params={"project": project}).json()["total"] == 6

        numbers = [by_image[one]["id"] for one in ids]
        for number, name in zip(numbers[:4], ("good", "pit", "pit", "good"), strict=True):
            annotate(ann, number, choose(name), lead_time=3.5)
        drawn = results_of(Annotation(ids[4], "ann", name="pit", shapes=DRAWN), SIZE)
        annotate(ann, numbers[4], drawn, lead_time=9)
        annotate(ann, numbers[5], [], was_cancelled=True)
        served = []
        while (number := queue_of(bob, project)) is not None:
            served.append(number)
            annotate(bob, number, choose("pit"), lead_time=1.25)
        overlap_and_skipped = [*numbers[:2], numbers[5]]
        assert sorted(served) == sorted(overlap_and_skipped), "what one skips is asked of the next; all else is done"

    pulled = cli("label-studio", "pull", *server)
    assert pulled.code == 0, pulled.err
    assert (pulled.json[0]["n_new"], pulled.json[0]["n_skipped"]) == (9, 1)
    said = opinions(workspace)
    assert {(one.image_id, one.annotator.split("@")[0], one.name, one.prelabel) for one in said} == {
        (ids[0], "bot", "good", "shown"), (ids[0], "bob", "pit", "shown"), (ids[1], "bot", "pit", "shown"),
        (ids[1], "bob", "pit", "shown"), (ids[2], "bot", "pit", "hidden"), (ids[3], "bot", "good", "shown"),
        (ids[4], "bot", "pit", "shown"), (ids[5], "bot", None, "shown"), (ids[5], "bob", "pit", "shown"),
    }  # fmt: skip
    assert next(one.shapes for one in said if one.image_id == ids[4]) == DRAWN
    assert [one.image_id for one in said if one.skipped] == [ids[5]]
    assert {one.lead_time_s for one in said} == {3.5, 9, 1.25, None}
    with Catalog.open(workspace.catalog_place) as catalog:
        labels = {key: label.name for key, label in catalog.labels().items() if label.source == "resolved"}
    agreed = {ids[1]: "pit", ids[2]: "pit", ids[3]: "good", ids[4]: "pit", ids[5]: "pit"}
    assert labels == agreed, "of the first they disagree"

    assert cli("label-studio", "push", *server).json["n_new"] == 0
    for more in ((), ("--afresh",)):
        assert cli("label-studio", "pull", *server, *more).json[0]["n_new"] == 0
    assert opinions(workspace) == said
    check_file_and_deletion(cli, studio, workspace, numbers, project, tmp_path)


def check_file_and_deletion(
    cli: Cli, studio: RealLabelStudio, workspace: Workspace, numbers: list[int], project: int, folder: Path
) -> None:
    """The project's own JSON export changes nothing; what is deleted there is withdrawn here, and stays withdrawn."""
    server = ("--url", studio.url, "-w", workspace.root, "--json")
    said = opinions(workspace)
    with studio.client() as ann:
        exported = ann.get(f"/api/projects/{project}/export", params={"exportType": "JSON"}).raise_for_status()
        (folder / "export.json").write_bytes(exported.content)
        brought = cli("import", folder / "export.json", "-w", workspace.root, "--json")
        assert brought.code == 0, brought.err
        assert (brought.json["n_new"], brought.json["n_changed"], brought.json["n_known"]) == (0, 0, 9)
        for more in ((), ("--afresh",)):
            assert cli("label-studio", "pull", *server, *more).json[0]["n_changed"] == 0
        assert opinions(workspace) == said
        for task_id in (numbers[3], numbers[5]):  # an answer, and of a skip and an answer the skip
            given = ann.get(f"/api/tasks/{task_id}/annotations/").raise_for_status().json()
            ann.delete(f"/api/annotations/{given[-1]['id']}/").raise_for_status()
    assert cli("label-studio", "pull", *server).json[0]["n_withdrawn"] == 2
    assert len(opinions(workspace)) == 7
    again = cli("import", folder / "export.json", "-w", workspace.root, "--json").json
    assert (again["n_new"], again["n_known"]) == (0, 9)
    assert cli("label-studio", "pull", *server, "--afresh").json[0]["n_withdrawn"] == 0
    assert len(opinions(workspace)) == 7


def test_images_from_a_shared_disk_and_a_personal_token(cli: Cli, studio: RealLabelStudio, tmp_path: Path) -> None:
    workspace, ids = make_workspace(tmp_path / "line-5", studio.images / "line 5")
    with studio.client() as client:
        personal = client.post("/api/token/").raise_for_status().json()["token"]
        pushed = cli("label-studio", "push", "--url", studio.url, "--token", personal, "--root", studio.images,
                     "-w", workspace.root, "--json")  # fmt: skip
        assert pushed.code == 0, pushed.err
        tasks = client.get("/api/tasks", params={"project": pushed.json["project_id"]}).json()["tasks"]
        (task,) = [one for one in tasks if one["data"]["activesel_id"] == ids[3]]
        shown = client.get(task["data"]["image"])
        assert shown.content == (studio.images / "line 5" / "photo 3.png").read_bytes()


@pytest.mark.parametrize(("token", "kind"), [("0" * 40, "legacy token"), ("a.b.c", "personal access token")])
def test_a_wrong_token(cli: Cli, studio: RealLabelStudio, tmp_path: Path, token: str, kind: str) -> None:
    workspace, _ = make_workspace(tmp_path / "line-6", tmp_path / "photos")
    done = cli("label-studio", "push", "--url", studio.url, "--token", token, "-w", workspace.root)
    assert done.code == 6
    assert f"Label Studio refuses the {kind} from --token" in done.complaint
