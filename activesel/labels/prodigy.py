"""Prodigy's JSON lines: tasks out, with a model's spans where there are some, and answers back.

A line without an answer is a task. Boxes are ``rect`` spans, outlines ``polygon`` spans, the class of the whole image
is the one option accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Box, Polygon, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_list, as_object, as_text, as_time, make_polygon, make_sized_box, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_lines, write_lines
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.sheets import Item, Sheet

_UNSAID = {"reject": "rejected", "ignore": "ignored"}
_NATIVE = ("annotator",)
Record = dict[str, Any]


def read_prodigy(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield every answer; what was rejected or ignored is skipped."""
    for where, record in read_lines(path):
        meta = as_object(record.get("meta") or {}, "meta", where)
        name = next((record[key] for key in ("path", "image") if isinstance(record.get(key), str)), "")
        name = "" if name.startswith("data:") else name  # the picture itself
        image_id = lookup.find(meta.get("activesel_id"), name, path.parent.absolute(), where=where)
        if "answer" in record:
            yield Said(where, name or str(meta.get("activesel_id")), _read_answer(record, meta, image_id, where))


def _read_answer(record: Record, meta: Record, image_id: str, where: str) -> Annotation:
    fields = from_extras(record.get("activesel") or {}, where)
    answer = record["answer"]
    if answer not in ("accept", *_UNSAID):
        raise DataError("not an answer", where=where, found=ascii(answer)[:80], expected="accept, reject, ignore")
    who = record.get("_annotator_id") or record.get("_session_id") or ""
    fields |= {
        "annotator": as_text(who, "_annotator_id", where, may_be_empty=True),
        "created": fields["created"] or as_time(record.get("_timestamp"), "_timestamp", where),
        "prelabel": fields["prelabel"] or as_text(meta.get("arm", ""), "arm", where, may_be_empty=True),
        "skipped": "" if answer == "accept" else fields["skipped"] or _UNSAID[answer],
    }
    spans = as_list(record.get("spans") or [], "spans", where) if answer == "accept" else []
    shapes = tuple(_read_span(as_object(span, "a span", where), where) for span in spans)
    name = _read_class(record, where) if answer == "accept" else None
    return Annotation(image_id, name=name, shapes=shapes, **fields)


def _read_class(record: Record, where: str) -> str | None:
    names = [as_text(one, "an accepted option", where) for one in as_list(record.get("accept") or [], "accept", where)]
    if not names and isinstance(record.get("label"), str):
        names = [as_text(record["label"], "label", where)]
    if len(names) > 1:
        raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(names)))
    return names[0] if names else None


def _read_span(span: Record, where: str) -> Shape:
    name, score = span.get("label"), span.get("score")
    if span.get("type", "rect") == "rect" and "width" in span:
        return make_sized_box(name, [span.get(key) for key in ("x", "y", "width", "height")], where, score)
    points = [as_list(point, "a corner", where) for point in as_list(span.get("points"), "points", where)]
    outline = make_polygon(name, points, where, score)
    if span.get("type") == "rect":
        xs, ys = [x for x, _ in outline.points], [y for _, y in outline.points]
        sides = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        return make_sized_box(name, sides, where, score)
    return outline


def write_prodigy(sheet: Sheet) -> dict[str, str]:
    """Write a line per opinion; for an image that nobody has one about, a task, with the model's pre-label."""
    return {"tasks.jsonl": write_lines(record for item in sheet.items for record in _write_item(item, sheet))}


def _write_item(item: Item, sheet: Sheet) -> Iterator[Record]:
    meta = {"activesel_id": item.image_id, "batch": sheet.batch_id, "arm": item.arm}
    task: Record = {"image": item.url, "width": item.width, "height": item.height,
                    "options": [{"id": name, "text": name} for name in sheet.classes],
                    "meta": {key: value for key, value in meta.items() if value}}  # fmt: skip
    if not item.opinions:
        yield task if item.prelabel is None else {**task, **_write_content(item.prelabel)}
    for one in item.opinions:
        extras = {key: value for key, value in to_extras(one).items() if key not in _NATIVE}
        answer = {"answer": "ignore" if one.skipped else "accept", "_annotator_id": one.annotator or None,
                  "_timestamp": int(datetime.fromisoformat(one.created).timestamp()) if one.created else None,
                  "activesel": extras or None}  # fmt: skip
        known = {key: value for key, value in answer.items() if value is not None}
        yield {**task, **_write_content(one), **known}


def _write_content(one: Annotation) -> Record:
    return {"spans": [_write_span(shape) for shape in one.shapes], "accept": [] if one.name is None else [one.name]}


def _write_span(shape: Shape) -> Record:
    score = {} if shape.score is None else {"score": shape.score}
    if isinstance(shape, Box):
        x0, y0, x1, y1 = shape.x0, shape.y0, shape.x1, shape.y1
        return {"label": shape.name, "type": "rect", "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0,
                "points": [[x0, y0], [x0, y1], [x1, y1], [x1, y0]], **score}  # fmt: skip
    assert isinstance(shape, Polygon), "masks are left out"
    return {"label": shape.name, "type": "polygon", "points": [[x, y] for x, y in shape.points], **score}


def _looks_like(seen: Glimpse) -> bool:
    return seen.has_object_with("spans", "answer", "_task_hash", "options") and not seen.has_object_with(
        "dataRow", "data_row", "source-ref", "reference_id")  # fmt: skip


register(AnnotationFormat("prodigy", read_prodigy, write_prodigy, _looks_like, frozenset({
    "name", "box", "polygon", "empty", "several", "skipped", "prediction", "shape_score", "annotator", "role",
    "created", "lead_time_s", "score", "guideline", "prelabel", "source", "external_id", "note"})))  # fmt: skip
