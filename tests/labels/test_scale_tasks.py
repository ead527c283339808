"""Scale's task objects, as its API lists them and as its callbacks send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activesel.annotations import Annotation, Box, Polygon
from activesel.errors import DataError
from activesel.labels import get_format, guess_format
from tests.labels.opinions import IDS, LOOKUP, PATHS

BOX = {"type": "box", "label": "crack", "left": 1, "top": 2, "width": 10, "height": 5, "uuid": "u", "attributes": {}}
POLYGON = {"type": "polygon", "label": "pit", "vertices": [{"x": 0, "y": 0}, {"x": 4.5, "y": 0}, {"x": 4, "y": 3}]}
SHAPES = (Box("crack", 1, 2, 11, 7), Polygon("pit", ((0, 0), (4.5, 0), (4, 3))))


def task(number: int = 0, *drawn: dict[str, Any], status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"task_id": f"t{number}", "type": "imageannotation", "status": status, "created_at": "2026-01-01T09:00:00Z",
            "completed_at": "2026-01-01T10:00:00.5Z", "metadata": {"activesel_id": IDS[number]},
            "params": {"attachment": "https://cdn.example" + PATHS[number]},
            **({"response": {"annotations": list(drawn)}} if status == "completed" else {}), **more}  # fmt: skip


def opinion(number: int, shapes: tuple[Any, ...] = ()) -> Annotation:
    return Annotation(IDS[number], "", shapes=shapes, created="2026-01-01T10:00:00.500000+00:00",
                      external_id=f"t{number}")  # fmt: skip


TASKS = [task(0, BOX, POLYGON), task(1), task(2, status="pending")]


@pytest.mark.parametrize("content", [
    json.dumps(TASKS), json.dumps(TASKS, indent=1), "\n".join(map(json.dumps, TASKS)),
    json.dumps({"docs": TASKS, "total": 3, "limit": 100, "has_more": False}),
    "\n".join(json.dumps({"status": "completed", "task_id": one["task_id"], "task": one,
                          **({"response": one["response"]} if "response" in one else {})}) for one in TASKS),
], ids=["list", "pretty", "lines", "page", "callbacks"])  # fmt: skip
def test_tasks_are_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(content)
    assert guess_format(path).name == "scale"
    said = [one.annotation for one in get_format("scale").reads(path, LOOKUP)]
    assert said == [opinion(0, SHAPES), opinion(1)], "a task without annotations says so; a pending one says nothing"


@pytest.mark.parametrize("more", [
    {"metadata": {}}, {"metadata": {}, "unique_id": IDS[0], "params": {}}, {"unique_id": "batch-7-1"},
])  # fmt: skip
def test_how_the_image_is_found(tmp_path: Path, more: dict[str, Any]) -> None:
    (tmp_path / "f").write_text(json.dumps(task(0, BOX, **more)))
    (one,) = get_format("scale").reads(tmp_path / "f", LOOKUP)
    assert one.annotation.image_id == IDS[0]


@pytest.mark.parametrize(("record", "message"), [
    (task(0, {**BOX, "type": "ellipse"}), r"f:1\.annotations\[0\]: an annotation that cannot be held; found 'ellipse'"),
    (task(0, {**BOX, "rotation": 12}), "a turned box"),
    (task(0, {**BOX, "width": -1}), "a box without area"),
    (task(0, {**POLYGON, "vertices": [1]}), "a corner is not an object"),
    (task(0, response={}), "response.annotations is not a list"),
    (task(0, response=[]), "response is not an object"),
    (task(0, task_id=None), "task_id is not a text"),
    (task(0, metadata={}, params={}), "names no image"),
])  # fmt: skip
def test_malformed_tasks(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    (tmp_path / "f").write_text(json.dumps(record))
    with pytest.raises(DataError, match=message):
        list(get_format("scale").reads(tmp_path / "f", LOOKUP))
