"""Labelbox's NDJSON: its import form out, an object a line; that and its export form (a data row a line) back.

Classes of whole images are answers to a radio question, ``verdict``. An image without a line is one nobody labelled.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Box, Polygon, Shape
from activesel.errors import DataError
from activesel.labels.fields import (
    as_list,
    as_object,
    as_seconds,
    as_text,
    as_time,
    make_polygon,
    make_sized_box,
    shorten,
)
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_lines, write_lines
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.said import Said
from activesel.labels.sheets import Item, Sheet

VERDICT = "verdict"
_SIDES = ("left", "top", "width", "height")
Record = dict[str, Any]


def read_labelbox(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield the opinions of each data row; objects of the import form are gathered by their data row."""
    folder = path.parent.absolute()
    gathered: dict[str, list[tuple[str, Record]]] = {}
    for where, record in read_lines(path):
        if "data_row" in record:
            yield from _read_row(record, folder, lookup, where)
        else:
            row = as_object(record.get("dataRow"), "dataRow", where)
            key = as_text(row.get("globalKey") or row.get("id"), "dataRow.globalKey", where)
            gathered.setdefault(key, []).append((where, record))
    for key, records in gathered.items():
        where = records[0][0]
        wholes = {_read_answer(record, place) for place, record in records if "answer" in record}
        shapes = tuple(_read_object(record, place) for place, record in records if "answer" not in record)
        image_id = lookup.find(key, key, folder, where=where)
        yield Said(where, key, Annotation(image_id, "", name=_only(wholes, where), shapes=shapes))


def _read_answer(record: Record, where: str) -> str:
    return as_text(as_object(record.get("answer"), "answer", where).get("name"), "an answer", where)


def _only(names: set[str], where: str) -> str | None:
    if len(names) > 1:
        raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(sorted(names))))
    return names.pop() if names else None


def _read_object(record: Record, where: str) -> Shape:
    """Return a box or a polygon, of the import or the export form."""
    name, score = record.get("name"), record.get("confidence")
    box, polygon = record.get("bbox") or record.get("bounding_box"), record.get("polygon")
    if box:
        sides = as_object(box, "a box", where)
        return make_sized_box(name, [sides.get(key) for key in _SIDES], where, score)
    if polygon:
        corners = [as_object(one, "a corner", where) for one in as_list(polygon, "polygon", where)]
        return make_polygon(name, [(one.get("x"), one.get("y")) for one in corners], where, score)
    raise DataError("an object that cannot be held", where=where, found=shorten(", ".join(sorted(record))),
                    expected="a box or a polygon; masks lie elsewhere, behind a URL")  # fmt: skip


def _read_row(record: Record, folder: Path, lookup: ImageLookup, where: str) -> Iterator[Said]:
    """Yield every label of every project of an exported data row."""
    row = as_object(record["data_row"], "data_row", where)
    keys = [row[key] for key in ("global_key", "external_id", "row_data") if isinstance(row.get(key), str) and row[key]]
    found = (lookup.find(key, key, folder, where=where) for key in keys)
    image_id = next((one for one in found if one), "")
    for project in as_object(record.get("projects", {}), "projects", where).values():
        for label in as_list(as_object(project, "a project", where).get("labels"), "labels", where):
            one = _read_label(as_object(label, "a label", where), image_id, where)
            yield Said(where, str(keys[0]) if keys else "", one)


def _read_label(label: Record, image_id: str, where: str) -> Annotation:
    details = as_object(label.get("label_details") or {}, "label_details", where)
    work = as_object(label.get("performance_details") or {}, "performance_details", where)
    drawn = as_object(label.get("annotations") or {}, "annotations", where)
    answers = [as_object(one, "a classification", where) for one in as_list(
        drawn.get("classifications", []), "classifications", where)]  # fmt: skip
    wholes = {as_text(as_object(one["radio_answer"], "radio_answer", where).get("name"), "an answer", where)
              for one in answers if one.get("radio_answer")}  # fmt: skip
    objects = as_list(drawn.get("objects", []), "objects", where)
    return Annotation(
        image_id, as_text(details.get("created_by") or "", "created_by", where, may_be_empty=True),
        name=_only(wholes, where),
        shapes=tuple(_read_object(as_object(one, "an object", where), where) for one in objects),
        skipped="skipped" if work.get("skipped") is True else "",
        created=as_time(details.get("created_at"), "created_at", where),
        lead_time_s=as_seconds(work.get("seconds_to_create"), "seconds_to_create", where),
        external_id=as_text(label.get("id") or "", "id", where, may_be_empty=True),
    )  # fmt: skip


def write_labelbox(sheet: Sheet) -> dict[str, str]:
    """Write a line per class and shape, each under an id that follows from its image and place."""
    return {"annotations.ndjson": write_lines(record for item in sheet.items for record in _write_item(item))}


def _write_item(item: Item) -> Iterator[Record]:
    for one in item.opinions:
        parts: list[Record] = [] if one.name is None else [{"name": VERDICT, "answer": {"name": one.name}}]
        parts += [_write_shape(shape) for shape in one.shapes]
        for number, part in enumerate(parts):
            key = uuid.uuid5(uuid.NAMESPACE_OID, f"{item.image_id} {one.key} {number}")
            yield {"uuid": str(key), "dataRow": {"globalKey": item.image_id}, **part}


def _write_shape(shape: Shape) -> Record:
    score = {} if shape.score is None else {"confidence": shape.score}
    if isinstance(shape, Box):
        sides = (shape.x0, shape.y0, shape.x1 - shape.x0, shape.y1 - shape.y0)
        return {"name": shape.name, "bbox": dict(zip(_SIDES, sides, strict=True)), **score}
    assert isinstance(shape, Polygon), "masks are left out"
    return {"name": shape.name, "polygon": [{"x": x, "y": y} for x, y in shape.points], **score}


def _looks_like(seen: Glimpse) -> bool:
    return seen.has_object_with("dataRow", "data_row")


register(AnnotationFormat("labelbox", read_labelbox, write_labelbox, _looks_like, frozenset({
    "name", "box", "polygon", "shape_score"})))  # fmt: skip
