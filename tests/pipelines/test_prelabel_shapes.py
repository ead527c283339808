"""A detector's boxes as pre-labels: in the catalog, in every export that has boxes, in Label Studio, on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activesel.annotations import Box, Polygon, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.labels import ImageLookup, annotation_format_names, get_format
from activesel.pipelines.hand_out import ExportRequest, export_to
from activesel.pipelines.prelabel import Prelabelled, PrelabelRequest, prelabel
from activesel.pipelines.review import Review
from activesel.pipelines.tool_push import PushRequest, push_batch
from activesel.records import Label
from activesel.tools.label_studio import LabelStudio
from activesel.tools.rest import Rest
from activesel.workspace import Workspace
from tests.pipelines.handed_out import ids_of, make_batch, opinions_in
from tests.tools.fake_label_studio import LEGACY, FakeLabelStudio

BOX, SECOND = Box("crack", 12, 6, 36, 24, 0.75), Box("pit", 0, 0, 6, 12, 0.5)
TRIANGLE = Polygon("pit", ((0, 0), (48, 0), (6, 48)), 0.25)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Four images of 48 x 48 px in batch 0001; the second one's pre-label is hidden, nothing is labelled in it."""
    made = make_batch(tmp_path)
    with Catalog.open(made.catalog_place) as catalog:
        other = next(row.image_id for row in catalog.images() if row.image_id not in ids_of(made))
        catalog.add_labels([Label(other, "crack", "old")])
        arms = ("shown", "hidden", "shown", "shown")
        tasks = [Task("0001", one, prelabel=arm) for one, arm in zip(ids_of(made), arms, strict=True)]
        catalog.annotations.assign("0001", tasks)
    return made


def detections(workspace: Workspace, folder: Path, *, n: int = 4, probs: bool = False, **more: Any) -> Path:
    """Two boxes and a polygon in the first two images, nothing in the others."""
    boxes = [[box.x0, box.y0, box.x1, box.y1] for box in (BOX, SECOND)]
    flat = [value for point in TRIANGLE.points for value in point]
    columns: dict[str, list[Any]] = {
        "image_id": ids_of(workspace)[:n], "boxes": [boxes, boxes, [], []][:n],
        "box_names": [["crack", "pit"], ["crack", "pit"], [], []][:n],
        "box_scores": [[0.75, 0.5], [0.75, 0.5], [], []][:n],
        "polygons": [[flat], [flat], [], []][:n], "polygon_names": [["pit"], ["pit"], [], []][:n],
        "polygon_scores": [[0.25], [0.25], [], []][:n], **more}  # fmt: skip
    if probs:
        columns["probs"] = [[0.875, 0.125], [0.875, 0.125], [0.25, 0.75], [0.25, 0.75]][:n]
    table = pa.table(columns).replace_schema_metadata({"classes": '["crack", "pit"]'})
    pq.write_table(table, folder / "p.parquet")
    return folder / "p.parquet"


def run(workspace: Workspace, path: Path, **more: Any) -> Prelabelled:
    return prelabel(workspace, PrelabelRequest(predictions=path, **more))


def test_boxes_alone(workspace: Workspace, tmp_path: Path) -> None:
    path = detections(workspace, tmp_path)
    assert run(workspace, path, dry_run=True).n_new == 0
    done = run(workspace, path, auto_accept=True)
    assert (done.n_images, done.n_new, done.counts, done.n_shapes) == (4, 4, {}, {"crack": 2, "pit": 4})
    assert (done.mean_confidence, done.ece, done.thresholds, done.n_accepted) == (None, None, {}, 0)
    assert done.notes == ("shapes alone say nothing of whole images: no confidence is measured, nothing is accepted",)
    said = {one.image_id: one for one in opinions_in(workspace)}
    assert [said[one].shapes for one in ids_of(workspace)] == [(BOX, SECOND, TRIANGLE)] * 2 + [()] * 2
    assert {(one.role, one.name, one.score) for one in said.values()} == {(Role.model, None, None)}
    assert run(workspace, path).n_new == 0


def test_boxes_beside_classes(workspace: Workspace, tmp_path: Path) -> None:
    done = run(workspace, detections(workspace, tmp_path, probs=True))
    assert (done.counts, done.n_shapes) == ({"crack": 2, "pit": 2}, {"crack": 2, "pit": 4})
    assert done.mean_confidence == pytest.approx(0.8125)
    first = next(one for one in opinions_in(workspace) if one.image_id == ids_of(workspace)[0])
    assert (first.name, first.score, first.shapes) == ("crack", 0.875, (BOX, SECOND, TRIANGLE))


def test_a_model_that_draws_nothing_says_so(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("image_id,p_crack,p_pit\n" + "".join(f"{one},0.75,0.25\n" for one in ids_of(workspace)))
    assert run(workspace, path).n_shapes is None


def test_an_image_without_a_row(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 4 images have no row"):
        run(workspace, detections(workspace, tmp_path, n=3))


def test_one_wrong_box_stores_nothing(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.parquet, row 1, box 1: a shape does not lie in its image; found x = 99"):
        run(workspace, detections(workspace, tmp_path, probs=True, boxes=[
            [[1.0, 1, 2, 2]] * 2, [[1.0, 1, 2, 2], [1.0, 1, 99, 2]], [], []]))  # fmt: skip
    assert opinions_in(workspace) == []


def test_neither_classes_nor_shapes(workspace: Workspace, tmp_path: Path) -> None:
    table = {"image_id": ids_of(workspace), "box_probs": [[[0.5]]] * 4}
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    with pytest.raises(DataError, match="neither class probabilities with names nor shapes"):
        run(workspace, tmp_path / "p.parquet")


@pytest.mark.parametrize("name", annotation_format_names())
def test_every_export_that_has_boxes_carries_them(workspace: Workspace, tmp_path: Path, name: str) -> None:
    run(workspace, detections(workspace, tmp_path, probs=True))
    found = get_format(name)
    out = tmp_path / "out"
    export_to(workspace, ExportRequest("0001", name, out))
    with Catalog.open(workspace.catalog_place) as catalog:
        paths = catalog.resolve()
        lookup = ImageLookup(paths, (), catalog.sizes_of(paths.values()))
    if "prediction" in found.holds:  # beside opinions, which alone are read back
        text = out.read_text()
        assert text.count('"crack"') >= 2
        assert "0.75" in text
        return
    drawn = {one.annotation.image_id: one.annotation.shapes for one in found.reads(out, lookup)}
    wanted = [shape for shape in (BOX, SECOND, TRIANGLE) if isinstance(shape, Box) or "polygon" in found.holds]
    assert [(type(shape), shape.name) for shape in drawn[ids_of(workspace)[0]]] == [
        (type(shape), shape.name) for shape in wanted]  # fmt: skip
    assert not drawn.get(ids_of(workspace)[1]), "the blind arm gets none"


def test_label_studio_shows_them_but_to_the_blind_arm(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, detections(workspace, tmp_path))
    server = FakeLabelStudio()
    rest = Rest("http://studio.example", transport=httpx.MockTransport(server.handle), sleep=lambda _: None)
    push_batch(workspace, PushRequest("0001"), LabelStudio(rest, LEGACY, "--token"))
    rest.close()
    kinds = [[item["type"] for one in task["predictions"] for item in one["result"]] for task in server.tasks]
    assert kinds == [["rectanglelabels", "rectanglelabels", "polygonlabels"], [], [], []]
    first = server.tasks[0]["predictions"][0]["result"][0]
    assert first["score"] == 0.75
    assert (first["value"]["x"], first["value"]["width"]) == (25, 50)


def test_the_page_shows_them_but_in_the_blind_arm(workspace: Workspace, tmp_path: Path) -> None:
    run(workspace, detections(workspace, tmp_path))
    with Catalog.open(workspace.catalog_place) as catalog:
        review = Review(workspace, catalog, "0001", adjudicate=False)
        turns = [review.next_turn(person) for person in ("ann", "bob", "cid", "dan")]
    assert [turn.image.image_id for turn in turns if turn] == ids_of(workspace)
    told = [turn.suggestion.shapes if turn and turn.suggestion else None for turn in turns]
    assert told == [(BOX, SECOND, TRIANGLE), None, (), ()]
