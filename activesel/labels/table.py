"""Labels from a CSV with the columns path,label or image_id,label; further columns are left alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from activesel.errors import DataError
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion
from activesel.labels.registry import label_format


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
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            columns = [name.strip() for name in next(reader, [])]
            if "label" not in columns or not {"path", "image_id"} & set(columns):
                raise DataError("not the columns of a label file", where=str(path),
                                found=", ".join(columns) or "an empty file",
                                expected="path,label or image_id,label")  # fmt: skip
            for values in filter(None, reader):
                where = f"{path}:{reader.line_num}"
                if len(values) != len(columns):
                    raise DataError("wrong number of values", where=where, found=str(len(values)),
                                    expected=f"{len(columns)}, as the first line has")  # fmt: skip
                yield where, dict(zip(columns, map(str.strip, values), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError("not a CSV file in UTF-8", where=str(path), found=str(error)) from None
