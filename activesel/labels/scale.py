"""Scale Nucleus: a JSON line per box, polygon or category, gathered by the image's ``reference_id``; scale_tasks reads
what Scale's annotators answered.

Who said it goes into ``metadata``, which Nucleus keeps. An image without a line is one nobody labelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Box, Polygon, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_list, as_object, as_text, make_polygon, make_sized_box, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_lines, write_lines
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse, glimpse
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.scale_tasks import is_document, looks_like_tasks, read_scale_task, read_task_document
from activesel.labels.sheets import Item, Sheet

_OURS = "activesel"
_SIDES = ("x", "y", "width", "height")
Record = dict[str, Any]


def read_scale(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield an opinion per image, or several where our own metadata tell them apart; of task objects one each."""
    seen = glimpse(path)
    if is_document(seen):
        yield from read_task_document(path, seen, lookup)
        return
    gathered: dict[tuple[str, str], list[tuple[str, Record]]] = {}
    for where, record in read_lines(path):
        if "reference_id" not in record and ("task_id" in record or "task" in record):
            yield from read_scale_task(record, path, lookup, where)
            continue
        key = as_text(record.get("reference_id"), "reference_id", where)
        gathered.setdefault((key, str(_ours(record, where).get("opinion", ""))), []).append((where, record))
    for (key, _), records in gathered.items():
        where, first = records[0]
        names = {as_text(one.get("label"), "label", place) for place, one in records if one.get("type") == "category"}
        if len(names) > 1:
            raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(sorted(names))))
        shapes = tuple(_read_shape(one, place) for place, one in records if one.get("type") != "category")
        image_id = lookup.find(key, key, path.parent.absolute(), where=where)
        fields = from_extras(_ours(first, where), where)
        yield Said(where, key, Annotation(image_id, name=names.pop() if names else None, shapes=shapes, **fields))


def _ours(record: Record, where: str) -> Record:
    metadata = as_object(record.get("metadata") or {}, "metadata", where)
    return as_object(metadata.get(_OURS) or {}, f"metadata.{_OURS}", where)


def _read_shape(record: Record, where: str) -> Shape:
    name, score, kind = record.get("label"), record.get("confidence"), record.get("type")
    if kind not in ("box", "polygon"):
        raise DataError("an annotation that cannot be held", where=where, found=ascii(kind)[:80],
                        expected="box, polygon, category")  # fmt: skip
    geometry = as_object(record.get("geometry"), "geometry", where)
    if kind == "box":
        return make_sized_box(name, [geometry.get(key) for key in _SIDES], where, score)
    corners = [as_object(one, "a corner", where) for one in as_list(geometry.get("vertices"), "vertices", where)]
    return make_polygon(name, [(one.get("x"), one.get("y")) for one in corners], where, score)


def write_scale(sheet: Sheet) -> dict[str, str]:
    """Write a line per class and shape, each under an id that follows from its image and place."""
    return {"annotations.jsonl": write_lines(record for item in sheet.items for record in _write_item(item))}


def _write_item(item: Item) -> Iterator[Record]:
    for opinion, one in enumerate(item.opinions):
        parts: list[Record] = [] if one.name is None else [{"label": one.name, "type": "category"}]
        parts += [_write_shape(shape) for shape in one.shapes]
        for number, part in enumerate(parts):
            key = f"{item.image_id}-{one.key}-{opinion}-{number}"
            yield {"reference_id": item.image_id, "annotation_id": key, **part,
                   "metadata": {_OURS: {"opinion": opinion, **to_extras(one)}}}  # fmt: skip


def _write_shape(shape: Shape) -> Record:
    score = {} if shape.score is None else {"confidence": shape.score}
    if isinstance(shape, Box):
        sides = (shape.x0, shape.y0, shape.x1 - shape.x0, shape.y1 - shape.y0)
        return {"label": shape.name, "type": "box", "geometry": dict(zip(_SIDES, sides, strict=True)), **score}
    assert isinstance(shape, Polygon), "masks are left out"
    geometry = {"vertices": [{"x": x, "y": y} for x, y in shape.points]}
    return {"label": shape.name, "type": "polygon", "geometry": geometry, **score}


def _looks_like(seen: Glimpse) -> bool:
    return seen.has_object_with("reference_id") or looks_like_tasks(seen)


register(AnnotationFormat("scale", read_scale, write_scale, _looks_like, frozenset({
    "name", "box", "polygon", "several", "shape_score", "annotator", "role", "created", "lead_time_s", "score",
    "guideline", "prelabel", "source", "external_id", "note"})))  # fmt: skip
