"""Import: all or nothing, twice is once, what counts follows, and what was decided stays."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activesel.annotations import Annotation, Box, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.config import load_config
from activesel.errors import DataError
from activesel.pipelines.opinions import ImportRequest, Unsaid, import_annotations
from activesel.workspace import Workspace
from tests.pipelines.handed_out import ids_of, labels_in, make_batch, opinions_in
from tests.pipelines.workspaces import snapshot_tree


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_batch(tmp_path)


@pytest.fixture
def ids(workspace: Workspace) -> list[str]:
    return ids_of(workspace)


def write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", encoding="utf8", newline="") as stream:
        table = csv.DictWriter(
            stream, ["image_id", "label", "annotator", "skipped", "created", "shapes", "external_id"]
        )
        table.writeheader()
        table.writerows(rows)
    return path


def bring(workspace: Workspace, file: Path, *, dry_run: bool = False, **unsaid: Any) -> Any:
    return import_annotations(workspace, ImportRequest(file, unsaid=Unsaid(**unsaid), dry_run=dry_run))


def settled(workspace: Workspace) -> dict[str, Resolution]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return catalog.annotations.resolutions()


def test_two_people_and_what_counts(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.csv", [
        {"image_id": ids[0], "label": "crack", "annotator": "ann"},
        {"image_id": ids[0], "label": "crack", "annotator": "bob"},
        {"image_id": ids[1], "label": "crack", "annotator": "ann"},
        {"image_id": ids[1], "label": "good", "annotator": "bob"},
        {"image_id": ids[2], "skipped": "too dark", "annotator": "ann"},
        {"image_id": ids[3], "label": "good"},
    ])  # fmt: skip
    found = bring(workspace, table, annotator="cid", guideline="2")
    assert (found.n_opinions, found.n_images, found.n_new, found.n_skipped) == (6, 4, 6, 1)
    assert found.n_by_state == {"agreed": 1, "raw": 3}
    assert found.n_by_class == {"crack": 1, "good": 1}
    assert settled(workspace)[ids[0]] == Resolution(ids[0], "crack", LabelState.agreed, by="consensus")
    assert labels_in(workspace) == {ids[0]: "crack", ids[3]: "good"}
    assert {(one.annotator, one.guideline, one.source) for one in opinions_in(workspace) if one.image_id == ids[3]} == {
        ("cid", "2", "csv")
    }


def test_a_second_import_changes_nothing(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.csv", [{"image_id": one, "label": "crack"} for one in ids])
    bring(workspace, table)
    before = opinions_in(workspace), settled(workspace), labels_in(workspace)
    again = bring(workspace, table)
    assert (again.n_new, again.n_changed, again.n_known, again.n_settled) == (0, 0, 4, 0)
    assert (opinions_in(workspace), settled(workspace), labels_in(workspace)) == before


def test_an_import_killed_before_it_settled_leaves_nothing(
    workspace: Workspace, ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "a.csv", [{"image_id": one, "label": "crack"} for one in ids])
    with monkeypatch.context() as patched:
        patched.setattr("activesel.pipelines.opinions.settle_all", lambda *_, **__: 1 / 0)  # stands for a kill
        with pytest.raises(ZeroDivisionError):
            bring(workspace, table)
    assert (len(opinions_in(workspace)), labels_in(workspace)) == (0, {})
    assert bring(workspace, table).n_settled == 4
    assert set(labels_in(workspace).values()) == {"crack"}


def test_the_same_import_again_undoes_nothing_that_was_weighed_since(
    workspace: Workspace, ids: list[str], tmp_path: Path
) -> None:
    rows = [{"image_id": ids[0], "label": name, "annotator": who} for who, name in (("ann", "crack"), ("bob", "good"))]
    table = write_table(tmp_path / "a.csv", rows)
    bring(workspace, table)
    assert settled(workspace)[ids[0]].name is None
    weighed = Resolution(ids[0], "crack", LabelState.raw, 0.97, "consensus")  # as activesel qc records it
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.resolve([weighed])
    assert bring(workspace, table).n_settled == 0
    assert settled(workspace)[ids[0]] == weighed
    third = [*rows, {"image_id": ids[0], "label": "good", "annotator": "cid"}]
    assert bring(workspace, write_table(tmp_path / "b.csv", third)).n_settled == 1


def test_a_dry_run_tells_the_same_and_writes_nothing(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.csv", [{"image_id": one, "label": "crack"} for one in ids[:2]])
    told = bring(workspace, table, dry_run=True)
    assert (opinions_in(workspace), settled(workspace)) == ([], {})
    assert bring(workspace, table) == replace(told, dry_run=False)
    assert bring(workspace, table, dry_run=True).n_known == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": "f" * 32, "label": "crack"}, "1 label is for an unknown image"),
        ({"label": "crack"}, r"a\.csv:5: names no image"),
        ({"image_id": 0, "label": "crack", "shapes": "{"}, r"a\.csv:5: shapes is not JSON"),
        ({"image_id": 0, "label": "crack", "created": "yesterday"}, r"a\.csv:5: created is not a moment"),
        ({"image_id": 0, "shapes": '[{"kind":"box","name":"x","x0":1,"y0":1,"x1":1,"y1":2}]'}, "5: a box without area"),
        ({"image_id": 0, "label": "x" * 3000}, "5: a label is too long"),
        ({"image_id": 0, "label": "\x01"}, "5: a label holds a character that is none"),
    ],
)
def test_a_mistake_in_the_last_row_leaves_nothing(
    workspace: Workspace, ids: list[str], tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    row = {**row, "image_id": ids[0]} if row.get("image_id") == 0 else row
    table = write_table(tmp_path / "a.csv", [*({"image_id": one, "label": "good"} for one in ids[:3]), row])
    before = snapshot_tree(workspace.root)
    with pytest.raises(DataError, match=message):
        bring(workspace, table)
    assert opinions_in(workspace) == []
    assert snapshot_tree(workspace.root).keys() == before.keys()


def test_one_id_for_two_opinions_is_refused(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    rows = [{"image_id": ids[0], "label": name, "external_id": "7"} for name in ("crack", "good")]
    with pytest.raises(DataError, match=r"a\.csv:3: two opinions have one id; found '7'; expected .*a\.csv:2"):
        bring(workspace, write_table(tmp_path / "a.csv", rows))


def test_an_adjudication_stays_and_a_change_in_the_tool_is_seen(
    workspace: Workspace, ids: list[str], tmp_path: Path
) -> None:
    rows = [{"image_id": one, "label": "crack", "external_id": one[:4]} for one in ids[:2]]
    bring(workspace, write_table(tmp_path / "a.csv", rows))
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(ids[0], "pit", LabelState.adjudicated, by="eve")])
    changed = [{**row, "label": "fray"} for row in rows]
    found = bring(workspace, write_table(tmp_path / "a.csv", changed))
    assert (found.n_changed, found.n_settled) == (2, 1)
    assert labels_in(workspace) == {ids[0]: "pit", ids[1]: "fray"}


def test_shapes_and_empty_opinions_name_the_whole_image(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    box = '[{"kind":"box","name":"crack","x0":1,"y0":1,"x1":5,"y1":2}]'
    table = write_table(tmp_path / "a.csv", [{"image_id": ids[0], "shapes": box}, {"image_id": ids[1], "shapes": "[]"}])
    bring(workspace, table)
    assert labels_in(workspace) == {ids[0]: "crack"}
    named = replace(workspace, config=load_config(workspace.root / "activesel.yaml", ["embedding.good=ok"]))
    assert bring(named, table).n_settled == 1
    assert labels_in(workspace) == {ids[0]: "crack", ids[1]: "ok"}
    assert [one.name for one in opinions_in(workspace)] == [None, None], "kept as given"
    assert opinions_in(workspace)[0].shapes == (Box("crack", 1, 1, 5, 2),)


def test_gold_is_kept_and_does_not_count(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.csv", [{"image_id": ids[0], "label": "crack"}])
    assert bring(workspace, table, role=Role.gold).n_settled == 0
    assert [one.role for one in opinions_in(workspace)] == [Role.gold]
    assert labels_in(workspace) == {}


def test_the_arm_of_the_task_is_the_opinions(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.assign("0001", [Task("0001", ids[0], prelabel="hidden"), Task("0001", ids[1])])
    bring(workspace, write_table(tmp_path / "a.csv", [{"image_id": one, "label": "x"} for one in ids[:2]]))
    assert [one.prelabel for one in opinions_in(workspace)] == ["hidden", ""]


def test_label_studios_own_export(workspace: Workspace, ids: list[str], tmp_path: Path) -> None:
    """As a server writes it: percent, a turned rectangle, people by number, a skipped task, predictions by number."""
    with Catalog.open(workspace.catalog_place) as catalog:
        name = Path(catalog.paths_of(ids[1])[0]).name
    turned = {"x": 25, "y": 25, "width": 50, "height": 25, "rotation": 90, "rectanglelabels": ["crack"]}
    box = {"type": "rectanglelabels", "from_name": "box", "original_width": 48, "original_height": 48, "value": turned}
    choice = {"type": "choices", "from_name": "verdict", "value": {"choices": ["crack"]}}
    note = {"id": 1, "completed_by": 4, "result": [box, choice], "was_cancelled": False, "ground_truth": False,
            "created_at": "2026-01-01T10:00:00.5Z", "lead_time": 3.2, "unique_id": "b4f1"}  # fmt: skip
    tasks = [
        {"id": 1, "data": {"image": "x", "activesel_id": ids[0]}, "annotations": [note], "predictions": [1]},
        {"id": 2, "data": {"image": f"/data/local-files/?d=photos%20with%2C%20a%20comma/{name}"},
         "annotations": [{**note, "was_cancelled": True, "result": [], "unique_id": "b4f2"}]},
    ]  # fmt: skip
    (tmp_path / "project.json").write_text(json.dumps(tasks))
    assert bring(workspace, tmp_path / "project.json").format_name == "label-studio"
    first, second = opinions_in(workspace)
    assert (first.annotator, first.created, first.lead_time_s, first.name) == (
        "user-4", "2026-01-01T10:00:00.500000+00:00", 3.2, "crack")  # fmt: skip
    assert [tuple(map(round, point)) for point in first.shapes[0].points] == [(12, 12), (12, 36), (0, 36), (0, 12)]  # type: ignore[union-attr]
    assert second == Annotation(ids[1], "user-4", skipped="skipped", created=first.created, lead_time_s=3.2,
                                source="label-studio", external_id="b4f2")  # fmt: skip
