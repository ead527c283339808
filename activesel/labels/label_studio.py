"""Label Studio's JSON: tasks with predictions out, annotations back; label_studio_results knows what is in each.

Its COCO, YOLO and VOC exports are not for reading: they mix classes of images with classes of boxes and rename files.
Predictions are ours, so reading leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Role, Shape
from activesel.labels.fields import as_list, as_object, as_seconds, as_share, as_text, as_time, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_records, write_document
from activesel.labels.label_studio_results import annotation_from, prediction_of, results_of
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.scale_tasks import looks_like_tasks
from activesel.labels.sheets import Item, Sheet

ID_KEY, ARM_KEY, REASON = "activesel_id", "arm", "reason"
_IMAGE = "image"
_NATIVE = ("annotator", "skipped", "created", "lead_time_s", "external_id", "role")
_FROM_OURS = ("guideline", "prelabel", "source", "score", "note")
Record = dict[str, Any]


def to_task(item: Item, batch_id: str = "") -> Record:
    """Return one task; its data carry the image's id, so that what comes back finds it."""
    data = {_IMAGE: item.url, ID_KEY: item.image_id, "batch": batch_id, ARM_KEY: item.arm}
    task: Record = {"data": {key: value for key, value in data.items() if value}}
    if item.opinions:
        task["annotations"] = [_write_annotation(one, item) for one in item.opinions]
    if item.prelabel:
        task["predictions"] = [prediction_of(item.prelabel, (item.width, item.height))]
    return task


def _write_annotation(one: Annotation, item: Item) -> Record:
    extras = {key: value for key, value in to_extras(one).items() if key not in _NATIVE}
    if one.role not in (Role.annotator, Role.gold):
        extras["role"] = one.role.value
    result = results_of(one, (item.width, item.height))
    if one.skipped:
        result.append({"id": f"{one.key[:8]}-r", "from_name": REASON, "to_name": _IMAGE, "type": "textarea",
                       "value": {"text": [one.skipped]}})  # fmt: skip
    native = {"completed_by": {"email": one.annotator} if one.annotator else None,
              "created_at": one.created or None, "lead_time": one.lead_time_s,
              "unique_id": one.external_id or None, "activesel": extras or None}  # fmt: skip
    return {"result": result, "was_cancelled": bool(one.skipped), "ground_truth": one.role is Role.gold,
            **{key: value for key, value in native.items() if value is not None}}  # fmt: skip


def read_label_studio(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield every annotation of an exported list of tasks, skipped ones too."""
    for where, task in read_records(path):
        data = as_object(task.get("data"), "data", where)
        names = (data[key] for key in (_IMAGE, "img", "image_url", "url") if isinstance(data.get(key), str))
        name = next(names, "")
        image_id = lookup.find(data.get(ID_KEY), name, path.parent.absolute(), where=where)
        size = lookup.size_of(image_id, where) if image_id and task.get("annotations") else (1, 1)
        for one in read_task(task, image_id, size, where=where):
            yield replace(one, image=name or shorten(str(data.get(ID_KEY))))


def read_task(task: Record, image_id: str, size: tuple[int, int], *, where: str) -> Iterator[Said]:
    """Yield a task's annotations, from a file and from a server alike: both must spell an opinion the same way.

    image_id: empty where nobody knows the image. size: its width and height in pixels. Whoever the task knows only by
    a number is ``person_of`` that number.

    Raises:
        DataError: not their schema, or a shape that we cannot hold.
    """
    data = as_object(task.get("data"), "data", where)
    arm = as_text(data.get(ARM_KEY, ""), ARM_KEY, where, may_be_empty=True)
    batch = data.get("batch") if isinstance(data.get("batch"), str) else ""
    project = task.get("project")
    project = project if isinstance(project, int) and not isinstance(project, bool) else None
    for number, note in enumerate(as_list(task.get("annotations", []), "annotations", where)):
        place = f"{where}.annotations[{number}]"
        given = as_object(note, "an annotation", place)
        one = _read_annotation(given, image_id, size, arm, place) if image_id else Annotation("", "")
        yield Said(place, "", one, str(batch), project)


def person_of(number: int) -> str:
    """Return what to call somebody of whom only the tool's number is known."""
    return f"user-{number}"


def _read_annotation(given: Record, image_id: str, size: tuple[int, int], arm: str, where: str) -> Annotation:
    ours = from_extras(given.get("activesel") or {}, where)
    as_list(given.get("result"), "result", where)
    as_seconds(given.get("lead_time"), "lead_time", where)
    person = _read_person(given.get("completed_by"), where)
    one = annotation_from(given, image_id, size, person, where=where, source="")
    said = {name: ours[name] for name in _FROM_OURS if ours[name] not in ("", None)}
    return replace(
        one, **{"prelabel": arm or one.prelabel, **said},
        name=None if one.name is None else as_text(one.name, "a class", where),
        shapes=tuple(_checked(shape, where) for shape in one.shapes),
        role=one.role if one.role is Role.gold else ours["role"],
        skipped=(_read_reason(given["result"], where) or one.skipped) if one.skipped else "",
        created=as_time(given.get("created_at"), "created_at", where),
        external_id=as_text(one.external_id, "unique_id", where, may_be_empty=True),
    )  # fmt: skip


def _checked(shape: Shape, where: str) -> Shape:
    return replace(shape, name=as_text(shape.name, "a class", where), score=as_share(shape.score, "a score", where))


def _read_person(value: object, where: str) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return as_text(person_of(value), "completed_by", where)
    return "" if value is None else as_text(value, "completed_by", where, may_be_empty=True)


def _read_reason(results: list[Record], where: str) -> str:
    """Return what was written, or chosen, under "reason"."""
    for one in results:
        if one.get("from_name") == REASON:
            value = as_object(one.get("value"), "value", where)
            said = value.get("text") or value.get("choices") or ""
            return as_text(said[0] if isinstance(said, list) and said else said, "a reason", where)
    return ""


def write_label_studio(sheet: Sheet) -> dict[str, str]:
    """Write the list of tasks that Label Studio imports."""
    return {"tasks.json": write_document([to_task(item, sheet.batch_id) for item in sheet.items])}


def _looks_like(seen: Glimpse) -> bool:
    if looks_like_tasks(seen):
        return False
    return seen.head.startswith("[") and (seen.head[1:].lstrip()[:1] in ("", "]") or '"data"' in seen.head
                                          or '"annotations"' in seen.head)  # fmt: skip


register(AnnotationFormat("label-studio", read_label_studio, write_label_studio, _looks_like, frozenset({
    "name", "box", "polygon", "mask", "empty", "several", "prediction", "skipped", "shape_score", "annotator", "role",
    "created", "lead_time_s", "score", "guideline", "prelabel", "source", "external_id", "note"}),
    needs_sizes=True))  # fmt: skip
