"""Export for tools: what goes along, what is kept from people, and files that are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activesel.annotations import Annotation, Box, LabelState, Mask, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.labels import annotation_format_names
from activesel.pipelines.hand_out import ExportRequest, ExportSummary, export_to, place
from activesel.pipelines.opinions import ImportRequest, Unsaid, import_annotations
from activesel.records import Label
from activesel.workspace import Workspace
from tests.pipelines.handed_out import ids_of, make_batch, opinions_in
from tests.pipelines.workspaces import snapshot_tree


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_batch(tmp_path)


@pytest.fixture
def ids(workspace: Workspace) -> list[str]:
    return ids_of(workspace)


def say(workspace: Workspace, *opinions: Annotation) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.add(opinions)


def export(workspace: Workspace, name: str, out: Path, **more: Any) -> ExportSummary:
    return export_to(workspace, ExportRequest("0001", name, out, **more))


def tasks_of(workspace: Workspace, out: Path, **more: Any) -> list[dict[str, Any]]:
    export(workspace, "label-studio", out, **more)
    tasks: list[dict[str, Any]] = json.loads(out.read_text())
    return tasks


def test_pre_labels_and_the_blind_arm(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    box = Box("crack", 12, 12, 24, 36, 0.5)
    say(workspace, *(Annotation(one, "net-1", Role.model, "crack", (box,), score=0.75) for one in ids[:2]))
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.assign("0001", [Task("0001", ids[0], prelabel="shown"),
                                            Task("0001", ids[1], prelabel="hidden")])  # fmt: skip
    tasks = tasks_of(workspace, tmp_path / "a.json")
    assert [task["data"]["activesel_id"] for task in tasks] == ids
    assert [task["data"].get("arm") for task in tasks] == ["shown", "hidden", None, None]
    assert [len(task.get("predictions", ())) for task in tasks] == [1, 0, 0, 0]
    (prediction,) = tasks[0]["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("net-1", 0.75)
    assert prediction["result"][1]["value"] == {"x": 25, "y": 25, "width": 25, "height": 50, "rotation": 0,
                                                "rectanglelabels": ["crack"]}  # fmt: skip
    assert not any("predictions" in task for task in tasks_of(workspace, tmp_path / "b.json", prelabels=False))
    for name in annotation_format_names():
        found = export(workspace, name, tmp_path / f"{name}.out", dry_run=True)
        assert (found.n_with_prelabel, found.n_blind, found.n_with_labels) == (1, 1, 0)
        assert not (tmp_path / f"{name}.out").exists()


def test_labels_go_along_only_if_asked_for_and_gold_never(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    say(workspace, Annotation(ids[0], "ann", name="crack"), Annotation(ids[1], "key", Role.gold, "pit"),
        Annotation(ids[2], "ann", name="good"))  # fmt: skip
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.assign("0001", [Task("0001", ids[2], gold=True)])
        catalog.add_labels([Label(ids[3], "fray", "labels.csv")])
    assert not any("annotations" in task for task in tasks_of(workspace, tmp_path / "a.json"))
    tasks = tasks_of(workspace, tmp_path / "b.json", with_labels=True)
    said = [[note["result"][0]["value"]["choices"] for note in task.get("annotations", ())] for task in tasks]
    assert said == [[["crack"]], [], [], [["fray"]]]


def test_a_format_for_one_opinion_takes_the_one_that_counts(
    workspace: Workspace, ids: list[str], tmp_path: Path
) -> None:
    say(workspace, Annotation(ids[0], "eve", Role.expert, "crack", created="2026-01-01"),
        Annotation(ids[0], "ann", name="good", created="2026-01-02"))  # fmt: skip
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(ids[0], "crack", LabelState.adjudicated, by="eve")])
    found = export(workspace, "labelbox", tmp_path / "a.ndjson", with_labels=True)
    assert found.left_out == {"opinion": 1}
    assert '"crack"' in (tmp_path / "a.ndjson").read_text()


def test_classes_keep_the_order_that_was_asked_for(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    say(workspace, Annotation(ids[0], "ann", name="b", shapes=(Box("a", 0, 0, 1, 1),)))
    found = export(workspace, "coco", tmp_path / "a.json", with_labels=True, classes=("z", "b"))
    assert found.classes == ("z", "b", "a")
    assert [one["name"] for one in json.loads((tmp_path / "a.json").read_text())["categories"]] == ["z", "b", "a"]


def test_images_at(workspace: Workspace, tmp_path: Path) -> None:
    urls = [task["data"]["image"] for task in tasks_of(workspace, tmp_path / "a.json", images_at="s3://bucket/line 4/")]
    assert all(url.startswith("s3://bucket/line 4/photo-") for url in urls)
    urls = [task["data"]["image"] for task in tasks_of(workspace, tmp_path / "b.json")]
    assert all(url.startswith("/data/local-files/?d=") and "with%2C%20a%20comma/photo-" in url for url in urls)


@pytest.mark.parametrize("name", annotation_format_names())
def test_what_goes_out_comes_in(workspace: Workspace, ids: list[str], tmp_path: Path, name: str) -> None:
    """Through another workspace with the same images: people's boxes arrive in every format."""
    box = Box("crack", 12, 12, 24, 36)
    say(workspace, *(Annotation(one, "ann", name="crack", shapes=(box,), created="2026-01-01T00:00:00+00:00")
                     for one in ids[:2]))  # fmt: skip
    export(workspace, name, tmp_path / "out", with_labels=True)
    other = make_batch(tmp_path / "other")
    found = import_annotations(other, ImportRequest(tmp_path / "out", unsaid=Unsaid("bob")))
    assert (found.format_name, found.n_new, found.n_by_class) == (name, 2, {"crack": 2})
    for one in opinions_in(other):
        assert one.shapes == (box,)
    assert import_annotations(other, ImportRequest(tmp_path / "out", unsaid=Unsaid("bob"))).n_known == 2


def test_what_cannot_be_held_is_counted(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    mask = Mask("crack", 0, 0, 2, 1, (1, 1))
    say(workspace, Annotation(ids[0], "ann", name="crack", shapes=(mask, Box("crack", 0, 0, 1, 1))),
        Annotation(ids[1], "ann", name="crack"))  # fmt: skip
    found = export(workspace, "voc", tmp_path / "out", with_labels=True)
    assert found.left_out == {"mask": 1, "name": 2, "opinion": 1}
    assert len(list((tmp_path / "out").iterdir())) == 1, "an image with a class and no box is not one without defects"


def test_unknown_format(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format; found 'x'"):
        export(workspace, "x", tmp_path / "a")


def test_folders_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    files = {"a/b.txt": "1\n", "c.txt": "ä"}
    out = tmp_path / "out"
    place(files, out, several=True)
    assert {path: content.decode() for path, content in snapshot_tree(out).items()} == files
    place(files, out, several=True)
    with pytest.raises(DataError, match="something else is there"):
        place({**files, "c.txt": "b"}, out, several=True)
    (tmp_path / ".next.part").mkdir()
    (tmp_path / ".next.part" / "left.txt").write_text("of a killed run")
    place(files, tmp_path / "next", several=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["next", "out"]
    place(files, tmp_path / "a.zip", several=True)
    first = (tmp_path / "a.zip").read_bytes()
    place(files, tmp_path / "a.zip", several=True)
    assert (tmp_path / "a.zip").read_bytes() == first
    with pytest.raises(UsageError, match="--out is a folder"):
        place({"a": "b"}, out, several=False)
