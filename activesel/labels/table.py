"""CSV tables with the columns path,label or image_id,label, as whole-image labels and as opinions.

As labels, further columns are left alone; as opinions, those named as the fields of an Annotation count.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from activesel.annotations import Annotation, Shape, shapes_to_json
from activesel.errors import DataError
from activesel.labels.fields import as_list, as_object, as_text, make_box, make_mask, make_polygon, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion
from activesel.labels.parcels import Glimpse, open_file
from activesel.labels.registry import label_format
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.sheets import Sheet

_EXTRAS = ("annotator", "role", "skipped", "created", "lead_time_s", "score", "guideline", "prelabel", "source",
           "external_id", "note")  # fmt: skip
_COLUMNS = ("path", "image_id", "label", *_EXTRAS, "shapes")
csv.field_size_limit(1 << 24)  # characters; a mask's runs are long


@label_format("csv", accepts=lambda path: path.suffix.lower() == ".csv" and path.is_file())
def read_csv(path: Path, lookup: ImageLookup) -> Iterator[Opinion]:
    """Yield each row with a label; an empty one is an image not labelled yet. image_id counts before path."""
    for where, row in _rows(path):
        image_id, image_path, name = row.get("image_id", ""), row.get("path", ""), row["label"]
        if not image_id and not image_path:
            raise DataError("a row names no image", where=where, expected="a path or an image_id")
        if name:
            found = lookup.by_id(image_id) if image_id else None
            if found is None and image_path:
                found = lookup.by_path(image_path, path.parent.absolute(), where=where)
            yield Opinion(where, image_path or image_id, found, name)


def read_csv_opinions(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield each row with a label, a reason for skipping, or shapes: "[]" there says that nothing is to be seen."""
    for where, row in _rows(path):
        image_id, image_path = row.get("image_id", ""), row.get("path", "")
        found = lookup.find(image_id, image_path, path.parent.absolute(), where=where)
        if row["label"] or row.get("skipped") or row.get("shapes"):
            name = as_text(row["label"], "a label", where, may_be_empty=True) or None
            fields = from_extras(row, where)
            shapes = _read_shapes(row.get("shapes", ""), where)
            yield Said(where, image_path or image_id, Annotation(found, name=name, shapes=shapes, **fields))


def _read_shapes(text: str, where: str) -> tuple[Shape, ...]:
    """Return the shapes of a cell as ``shapes_to_json`` writes it, every value checked."""
    if not text:
        return ()
    try:
        rows = as_list(json.loads(text), "shapes", where)
    except (ValueError, RecursionError) as error:
        raise DataError("shapes is not JSON", where=where, found=str(error)[:200]) from None
    return tuple(_read_shape(as_object(row, "a shape", where), where) for row in rows)


def _read_shape(row: dict[str, object], where: str) -> Shape:
    name, score = row.get("name"), row.get("score")
    if row.get("kind") == "box":
        return make_box(name, [row.get(key) for key in ("x0", "y0", "x1", "y1")], where, score)
    if row.get("kind") == "polygon":
        points = as_list(row.get("points"), "points", where)
        return make_polygon(name, [as_list(point, "a corner", where) for point in points], where, score)
    if row.get("kind") == "mask":
        frame = [row.get(key) for key in ("left", "top", "width", "height")]
        return make_mask(name, frame, as_list(row.get("runs"), "runs", where), where, score)
    raise DataError(
        "not a kind of shape", where=where, found=ascii(row.get("kind"))[:80], expected="box, polygon, mask"
    )


def write_csv(sheet: Sheet) -> dict[str, str]:
    """Write a row per opinion, and one without a label for each image that nobody has one about."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for item in sheet.items:
        image = {"path": item.path, "image_id": item.image_id}
        for one in item.opinions:
            table.writerow({**image, "label": one.name or "", **to_extras(one), "shapes": shapes_to_json(one.shapes)})
        if not item.opinions:
            table.writerow(image)
    return {"annotations.csv": text.getvalue()}


def _looks_like(seen: Glimpse) -> bool:
    columns = {name.strip().strip('"') for name in seen.head.partition("\n")[0].split(",")}
    return "label" in columns and bool(columns & {"path", "image_id"})


register(AnnotationFormat("csv", read_csv_opinions, write_csv, _looks_like, frozenset({
    "name", "box", "polygon", "mask", "empty", "several", "shape_score", *_EXTRAS})))  # fmt: skip


def read_column(path: Path, column: str, lookup: ImageLookup) -> dict[str, str] | None:
    """Return image id -> value of a further column; None where the file has no such column, empty values left out.

    Raises:
        DataError: not a label file, or two values for one image.
    """
    found: dict[str, str] = {}
    for where, row in _rows(path):
        if column not in row:
            return None
        image_id = lookup.by_id(row.get("image_id", "")) or (
            lookup.by_path(row["path"], path.parent.absolute(), where=where) if row.get("path") else None
        )
        if image_id is not None and row[column] and found.setdefault(image_id, row[column]) != row[column]:
            raise DataError(f"two values of {column} for one image", where=where, found=repr(row[column]),
                            expected=repr(found[image_id]))  # fmt: skip
    return found


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with io.TextIOWrapper(open_file(path), encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            columns = [name.strip() for name in next(reader, [])]
            if "label" not in columns or not {"path", "image_id"} & set(columns):
                raise DataError("not the columns of a label file", where=str(path),
                                found=shorten(", ".join(columns)) or "an empty file",
                                expected="path,label or image_id,label")  # fmt: skip
            for values in filter(None, reader):
                where = f"{path}:{reader.line_num}"
                if len(values) != len(columns):
                    raise DataError("wrong number of values", where=where, found=str(len(values)),
                                    expected=f"{len(columns)}, as the first line has")  # fmt: skip
                yield where, dict(zip(columns, map(str.strip, values), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError("not a CSV file in UTF-8", where=str(path), found=str(error)) from None
