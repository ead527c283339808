"""Label Studio's JSON: tasks with predictions out, tasks with annotations back.

Its COCO, YOLO and VOC exports are not for reading: they mix classes of images with classes of boxes and rename files.
Coordinates are percent of the image. Predictions are ours, so reading leaves them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from activesel.annotations import Annotation, Box, Polygon, Role, Shape
from activesel.errors import DataError
from activesel.labels.brush import read_brush, write_brush
from activesel.labels.fields import (
    as_list,
    as_number,
    as_object,
    as_seconds,
    as_text,
    as_time,
    as_whole,
    make_polygon,
    make_sized_box,
    shorten,
)
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_records, write_document
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.sheets import Item, Sheet

IMAGE, VERDICT, REASON = "image", "verdict", "reason"  # names of the labelling page's parts
_PARTS = {"rectanglelabels": "box", "polygonlabels": "polygon", "brushlabels": "mask"}
_SHAPELESS = {"textarea", "rating", "number", "datetime", "relation", "pairwise", "taxonomy"}  # say nothing we hold
_NATIVE = ("annotator", "skipped", "created", "lead_time_s", "external_id", "prelabel", "source", "role")
Record = dict[str, Any]


def label_page(classes: tuple[str, ...]) -> str:
    """Return the labelling configuration that the tasks fit: boxes, polygons, brush, a verdict, a reason to skip."""
    labels = "".join(f"<Label value={quoteattr(name)}/>" for name in classes)
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in classes)
    return (
        f'<View><Image name="{IMAGE}" value="$image" zoom="true"/>'
        f'<Choices name="{VERDICT}" toName="{IMAGE}" choice="single" showInline="true">{choices}</Choices>'
        f'<RectangleLabels name="box" toName="{IMAGE}">{labels}</RectangleLabels>'
        f'<PolygonLabels name="polygon" toName="{IMAGE}">{labels}</PolygonLabels>'
        f'<BrushLabels name="mask" toName="{IMAGE}">{labels}</BrushLabels>'
        f'<TextArea name="{REASON}" toName="{IMAGE}" maxSubmissions="1" placeholder="why nothing can be said"/></View>'
    )


def to_task(item: Item, batch_id: str = "") -> Record:
    """Return one task; its data carry the image's id, so that what comes back finds it."""
    data = {"image": item.url, "activesel_id": item.image_id, "batch": batch_id, "arm": item.arm}
    task: Record = {"data": {key: value for key, value in data.items() if value}}
    if item.opinions:
        task["annotations"] = [_write_annotation(one, item, f"a{n}") for n, one in enumerate(item.opinions)]
    if item.prelabel:
        score = {} if item.prelabel.score is None else {"score": item.prelabel.score}
        task["predictions"] = [{"model_version": item.prelabel.annotator, **score,
                                "result": _write_result(item.prelabel, item, "p")}]  # fmt: skip
    return task


def _write_annotation(one: Annotation, item: Item, prefix: str) -> Record:
    extras = {key: value for key, value in to_extras(one).items() if key not in _NATIVE}
    if one.role not in (Role.annotator, Role.gold):
        extras["role"] = one.role.value
    if one.prelabel and one.prelabel != item.arm:
        extras["prelabel"] = one.prelabel
    if one.source:
        extras["source"] = one.source
    written: Record = {"result": _write_result(one, item, prefix), "was_cancelled": bool(one.skipped),
                       "ground_truth": one.role is Role.gold}  # fmt: skip
    native = {"completed_by": {"email": one.annotator} if one.annotator else None,
              "created_at": one.created or None, "lead_time": one.lead_time_s,
              "unique_id": one.external_id or None, "activesel": extras or None}  # fmt: skip
    return written | {key: value for key, value in native.items() if value is not None}


def _write_result(one: Annotation, item: Item, prefix: str) -> list[Record]:
    result = [] if one.name is None else [{"from_name": VERDICT, "type": "choices", "value": {"choices": [one.name]}}]
    result += [_write_shape(shape, item) for shape in one.shapes]
    if one.skipped:
        result.append({"from_name": REASON, "type": "textarea", "value": {"text": [one.skipped]}})
    return [{"id": f"{prefix}r{number}", "to_name": IMAGE, **part} for number, part in enumerate(result)]


def _write_shape(shape: Shape, item: Item) -> Record:
    width, height = item.width, item.height
    value: Record
    if isinstance(shape, Box):
        kind = "rectanglelabels"
        value = {"x": shape.x0 / width * 100, "y": shape.y0 / height * 100,
                 "width": (shape.x1 - shape.x0) / width * 100, "height": (shape.y1 - shape.y0) / height * 100,
                 "rotation": 0}  # fmt: skip
    elif isinstance(shape, Polygon):
        kind, value = "polygonlabels", {"points": [[x / width * 100, y / height * 100] for x, y in shape.points]}
    else:
        kind, value = "brushlabels", {"format": "rle", "rle": write_brush(shape, width, height)}
    score = {} if shape.score is None else {"score": shape.score}
    return {"from_name": _PARTS[kind], "type": kind, "original_width": width, "original_height": height,
            "image_rotation": 0, "value": {**value, kind: [shape.name]}, **score}  # fmt: skip


def read_label_studio(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield every annotation of an exported list of tasks, skipped ones too."""
    for where, task in read_records(path):
        yield from read_task(task, lookup, where=where, folder=path.parent.absolute())


def read_task(
    task: Record, lookup: ImageLookup, *, where: str, folder: Path, people: Mapping[int, str] | None = None
) -> Iterator[Said]:
    """Yield every annotation of one task. people: id of a user -> name; an id that is not among them is the name.

    Raises:
        DataError: not such a task.
    """
    data = as_object(task.get("data"), "data", where)
    known_as = next((data[key] for key in (IMAGE, "img", "image_url", "url") if isinstance(data.get(key), str)), None)
    image_id = lookup.find(data.get("activesel_id"), known_as, folder, where=where)
    arm = as_text(data.get("arm", ""), "arm", where, may_be_empty=True)
    for number, note in enumerate(as_list(task.get("annotations", []), "annotations", where)):
        place = f"{where}.annotations[{number}]"
        one = _read_annotation(as_object(note, "an annotation", place), image_id, arm, people or {}, place)
        yield Said(place, str(known_as or image_id), one)


def _read_annotation(note: Record, image_id: str, arm: str, people: Mapping[int, str], where: str) -> Annotation:
    fields = from_extras(note.get("activesel") or {}, where)
    results = [as_object(one, "a result", where) for one in as_list(note.get("result"), "result", where)]
    if note.get("ground_truth") is True:
        fields["role"] = Role.gold
    fields |= {"annotator": _read_person(note.get("completed_by"), people, where),
               "created": as_time(note.get("created_at"), "created_at", where),
               "lead_time_s": as_seconds(note.get("lead_time"), "lead_time", where),
               "external_id": as_text(note.get("unique_id") or "", "unique_id", where, may_be_empty=True),
               "prelabel": fields["prelabel"] or arm,
               "skipped": (_read_reason(results, where) or "skipped") if note.get("was_cancelled") else ""}  # fmt: skip
    shapes = (_read_shape(one, where) for one in results)
    return Annotation(
        image_id, name=_read_verdict(results, where), shapes=tuple(one for one in shapes if one), **fields
    )


def _read_person(value: object, people: Mapping[int, str], where: str) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    if isinstance(value, int) and value in people:
        return people[value]
    return "" if value is None else as_text(value, "completed_by", where, may_be_empty=True)


def _read_reason(results: list[Record], where: str) -> str:
    for one in results:
        if one.get("from_name") == REASON:
            value = as_object(one.get("value"), "value", where)
            said = value.get("text") or value.get("choices") or ""
            return as_text(said[0] if isinstance(said, list) and said else said, "a reason", where)
    return ""


def _read_verdict(results: list[Record], where: str) -> str | None:
    """Return the class of the whole image: what was chosen under "verdict", or under the only choice there is."""
    chosen = [one for one in results if one.get("type") == "choices" and one.get("from_name") != REASON]
    named = [one for one in chosen if one.get("from_name") == VERDICT] or chosen
    values = [as_object(one.get("value"), "value", where) for one in named]
    names = [as_text(name, "a choice", where) for value in values
             for name in as_list(value.get("choices"), "choices", where)]  # fmt: skip
    if len(names) > 1:
        raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(names)),
                        hint=f"let annotators choose one, under the name {VERDICT!r}")  # fmt: skip
    return names[0] if names else None


def _read_shape(one: Record, where: str) -> Shape | None:
    kind = one.get("type")
    if kind in _SHAPELESS or kind == "choices":
        return None
    value = as_object(one.get("value") or {}, "value", where)
    names = value.get(kind) if isinstance(kind, str) else None
    if kind in ("rectangle", "polygon", "brush") and not names:
        return None  # the outline without its class, which follows as a result of its own
    if kind not in (*_PARTS, "labels") or not isinstance(names, list) or len(names) != 1:
        raise DataError("a result that cannot be held", where=where, found=ascii(kind)[:80],
                        expected="one class each, of " + ", ".join(_PARTS))  # fmt: skip
    width = as_whole(one.get("original_width"), "original_width", where)
    height = as_whole(one.get("original_height"), "original_height", where)
    if "rle" in value:
        return read_brush(names[0], as_list(value["rle"], "rle", where), (width, height), where, one.get("score"))
    if "points" in value:
        points = [as_list(point, "a corner", where) for point in as_list(value["points"], "points", where)]
        shape = make_polygon(names[0], points, where, one.get("score"))
        return Polygon(shape.name, tuple((x * width / 100, y * height / 100) for x, y in shape.points), shape.score)
    return _read_rectangle(names[0], value, (width, height), one.get("score"), where)


def _read_rectangle(name: object, value: Record, size: tuple[int, int], score: object, where: str) -> Shape:
    """Return a box; one that is turned, clockwise about its upper left corner, is a polygon."""
    share = (size[0] / 100, size[1] / 100, size[0] / 100, size[1] / 100)
    x, y, w, h = (as_number(value.get(key), key, where) * by
                  for key, by in zip(("x", "y", "width", "height"), share, strict=True))  # fmt: skip
    angle = math.radians(as_number(value.get("rotation", 0), "rotation", where))
    if not angle:
        return make_sized_box(name, (x, y, w, h), where, score)
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in ((0, 0), (w, 0), (w, h), (0, h))]
    return make_polygon(name, corners, where, score)


def write_label_studio(sheet: Sheet) -> dict[str, str]:
    """Write the list of tasks that Label Studio imports."""
    return {"tasks.json": write_document([to_task(item, sheet.batch_id) for item in sheet.items])}


def _looks_like(seen: Glimpse) -> bool:
    return seen.head.startswith("[") and (seen.head[1:].lstrip()[:1] in ("", "]") or '"data"' in seen.head
                                          or '"annotations"' in seen.head)  # fmt: skip


register(AnnotationFormat("label-studio", read_label_studio, write_label_studio, _looks_like, frozenset({
    "name", "box", "polygon", "mask", "empty", "several", "prediction", "skipped", "shape_score", "annotator", "role",
    "created", "lead_time_s", "guideline", "prelabel", "source", "external_id"})))  # fmt: skip
