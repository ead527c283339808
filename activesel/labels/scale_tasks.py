"""Scale's answers to image annotation tasks: task objects with ``response.annotations``, from its API or callbacks.

The image is ``metadata.activesel_id``, else the task's ``unique_id`` or ``params.attachment``. Scale does not say who
worked on it. A completed task without annotations says that nothing is there; one that is not completed says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_list, as_number, as_object, as_text, as_time, make_polygon, make_sized_box
from activesel.labels.json_files import read_document, read_records
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.said import Said

ID_KEY = "activesel_id"
_SIDES = ("left", "top", "width", "height")
Record = dict[str, Any]


def looks_like_tasks(seen: Glimpse) -> bool:
    return '"task_id"' in seen.head and '"response"' in seen.head and '"reference_id"' not in seen.head


def is_document(seen: Glimpse) -> bool:
    """Tell whether the file is one list of tasks, or a page of them as the API answers, and not a line each."""
    return seen.head.startswith("[") or seen.has_object_with("docs")


def read_task_document(path: Path, seen: Glimpse, lookup: ImageLookup) -> Iterator[Said]:
    if seen.head.startswith("["):
        for where, record in read_records(path):
            yield from read_scale_task(record, path, lookup, where)
        return
    page = as_object(read_document(path), "a page of tasks", str(path))
    for number, one in enumerate(as_list(page.get("docs"), "docs", str(path))):
        where = f"{path}: docs[{number}]"
        yield from read_scale_task(as_object(one, "a task", where), path, lookup, where)


def read_scale_task(record: Record, path: Path, lookup: ImageLookup, where: str) -> Iterator[Said]:
    """Yield the opinion of a completed task; nothing of any other."""
    task = as_object(record.get("task") or record, "task", where)  # a callback wraps it
    status = as_text(task.get("status") or record.get("status"), "status", where)
    metadata = as_object(task.get("metadata") or {}, "metadata", where)
    params = as_object(task.get("params") or {}, "params", where)
    names = [one for one in (task.get("unique_id"), params.get("attachment")) if isinstance(one, str) and one]
    image_id = ""
    for name in names or [""]:
        image_id = image_id or lookup.find(metadata.get(ID_KEY) or name, name, path.parent.absolute(), where=where)
    if status != "completed":
        return
    response = as_object(record.get("response") or task.get("response"), "response", where)
    drawn = as_list(response.get("annotations"), "response.annotations", where)
    shapes = tuple(_read_shape(as_object(one, "an annotation", where), f"{where}.annotations[{number}]")
                   for number, one in enumerate(drawn))  # fmt: skip
    yield Said(where, names[0] if names else str(metadata.get(ID_KEY)), Annotation(
        image_id, "", shapes=shapes, created=as_time(task.get("completed_at"), "completed_at", where),
        external_id=as_text(task.get("task_id") or record.get("task_id"), "task_id", where),
    ))  # fmt: skip


def _read_shape(given: Record, where: str) -> Shape:
    name, kind = given.get("label"), given.get("type")
    if kind == "box":
        if given.get("rotation") and as_number(given["rotation"], "rotation", where):
            raise DataError("a turned box", where=where, expected="an upright one, or a polygon")
        return make_sized_box(name, [given.get(key) for key in _SIDES], where)
    if kind == "polygon":
        corners = [as_object(one, "a corner", where) for one in as_list(given.get("vertices"), "vertices", where)]
        return make_polygon(name, [(one.get("x"), one.get("y")) for one in corners], where)
    raise DataError("an annotation that cannot be held", where=where, found=ascii(kind)[:80], expected="box, polygon")
