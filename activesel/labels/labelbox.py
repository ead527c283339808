"""Labelbox's NDJSON: its import form out, an object a line; that and its export form (a data row a line) back.

Classes of whole images are answers to a radio question, ``verdict``. An image without a line is one nobody labelled.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.annotations import Annotation, Box, Mask, Shape
from activesel.errors import DataError
from activesel.labels.fields import (
    as_list,
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
from activesel.labels.json_files import read_lines, write_lines
from activesel.labels.lookup import SET_ASIDE, ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.pictures import decode, encode, is_inline, read_beside, read_inline
from activesel.labels.said import Said
from activesel.labels.sheets import Item, Sheet
from activesel.labels.whole_masks import from_pixels

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
        image_id = lookup.find(key, key, folder, where=where)
        masks = _Masks(image_id, folder, lookup)
        drawn = [(place, record) for place, record in records if "answer" not in record]
        shapes = tuple(shape for place, record in drawn for shape in _read_object(record, masks, place))
        yield Said(where, key, Annotation(image_id, "", name=_only(wholes, where), shapes=shapes))


def _read_answer(record: Record, where: str) -> str:
    return as_text(as_object(record.get("answer"), "answer", where).get("name"), "an answer", where)


def _only(names: set[str], where: str) -> str | None:
    if len(names) > 1:
        raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(sorted(names))))
    return names.pop() if names else None


@dataclass(frozen=True)
class _Masks:
    """Reads the masks of one image; of one that nobody knows there are none."""

    image_id: str
    folder: Path
    lookup: ImageLookup

    def read(self, name: object, given: Record, score: object, where: str) -> tuple[Shape, ...]:
        """Return a mask from base64 (png) or a picture beside the file (instanceURI, url), by its colour if told."""
        if self.image_id in ("", SET_ASIDE):
            return ()
        source = as_text(given.get("instanceURI") or given.get("url") or "inline", "a mask's place", where)
        if "png" in given or is_inline(source):
            content = read_inline(_text(given.get("png", source), where), where)
        else:
            content = read_beside(source, self.folder, where)
        colours = decode(content, self.lookup.size_of(self.image_id, where), where)
        told = given.get("colorRGB") or given.get("color_rgba")
        if told is None:
            inside = colours[..., :3].any(axis=2) & (colours[..., 3] > 0)
        else:
            colour = [as_whole(one, "a colour", where, high=255) for one in as_list(told, "a colour", where)][:3]
            if len(colour) != 3:
                raise DataError("a colour has not three numbers", where=where, found=str(len(colour)))
            inside = (colours[..., :3] == np.array(colour, np.uint8)).all(axis=2)
        return (from_pixels(name, inside, where, score=score),)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise DataError("a mask is not a text", where=where, found=type(value).__name__)
    return value


def _read_object(record: Record, masks: _Masks, where: str) -> tuple[Shape, ...]:
    """Return a box, a polygon or a mask, of the import or the export form."""
    name, score = record.get("name"), record.get("confidence")
    box, polygon = record.get("bbox") or record.get("bounding_box"), record.get("polygon")
    if box:
        sides = as_object(box, "a box", where)
        return (make_sized_box(name, [sides.get(key) for key in _SIDES], where, score),)
    if polygon:
        corners = [as_object(one, "a corner", where) for one in as_list(polygon, "polygon", where)]
        return (make_polygon(name, [(one.get("x"), one.get("y")) for one in corners], where, score),)
    if record.get("mask") or record.get("composite_mask"):
        given = as_object(record.get("mask") or record.get("composite_mask"), "a mask", where)
        return masks.read(name, given, score, where)
    raise DataError("an object that cannot be held", where=where, found=shorten(", ".join(sorted(record))),
                    expected="a box, a polygon or a mask")  # fmt: skip


def _read_row(record: Record, folder: Path, lookup: ImageLookup, where: str) -> Iterator[Said]:
    """Yield every label of every project of an exported data row."""
    row = as_object(record["data_row"], "data_row", where)
    keys = [row[key] for key in ("global_key", "external_id", "row_data") if isinstance(row.get(key), str) and row[key]]
    found = (lookup.find(key, key, folder, where=where) for key in keys)
    image_id = next((one for one in found if one), "")
    for project in as_object(record.get("projects", {}), "projects", where).values():
        for label in as_list(as_object(project, "a project", where).get("labels"), "labels", where):
            masks = _Masks(image_id, folder, lookup)
            one = _read_label(as_object(label, "a label", where), image_id, masks, where)
            yield Said(where, str(keys[0]) if keys else "", one)


def _read_label(label: Record, image_id: str, masks: _Masks, where: str) -> Annotation:
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
        shapes=tuple(shape for one in objects
                     for shape in _read_object(as_object(one, "an object", where), masks, where)),
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
        parts += [_write_shape(shape, (item.width, item.height)) for shape in one.shapes]
        for number, part in enumerate(parts):
            key = uuid.uuid5(uuid.NAMESPACE_OID, f"{item.image_id} {one.key} {number}")
            yield {"uuid": str(key), "dataRow": {"globalKey": item.image_id}, **part}


def _write_shape(shape: Shape, size: tuple[int, int]) -> Record:
    score = {} if shape.score is None else {"confidence": shape.score}
    if isinstance(shape, Box):
        sides = (shape.x0, shape.y0, shape.x1 - shape.x0, shape.y1 - shape.y0)
        return {"name": shape.name, "bbox": dict(zip(_SIDES, sides, strict=True)), **score}
    if isinstance(shape, Mask):
        return {"name": shape.name, "mask": {"png": encode(shape, size)}, **score}
    return {"name": shape.name, "polygon": [{"x": x, "y": y} for x, y in shape.points], **score}


def _looks_like(seen: Glimpse) -> bool:
    return seen.has_object_with("dataRow", "data_row")


register(AnnotationFormat("labelbox", read_labelbox, write_labelbox, _looks_like, frozenset({
    "name", "box", "polygon", "mask", "shape_score"}), needs_sizes=True))  # fmt: skip
