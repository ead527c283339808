"""The columns that requirements cut classes by: metadata, numbers in bands, and what masks tell of a defect."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.catalog import Catalog, Column, Images, make_column
from activesel.errors import DataError
from activesel.ids import pack_ids
from activesel.labels import ImageLookup
from activesel.pipelines.defects import band_of, measure_defect, read_outlines
from activesel.records import BoolArray, IntArray
from activesel.requirements import DERIVED, RequirementsFile
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Cuts:
    """Columns by name, over all n images. notes: for the user."""

    columns: Mapping[str, Column]
    notes: tuple[str, ...] = ()

    def meets(self, where: Mapping[str, str], n: int) -> BoolArray:
        """Return (n,) whether an image lies in the slice; one whose value is unknown does not."""
        found = np.ones(n, bool)
        for name, value in where.items():
            found &= self.columns[name].meets([value])
        return found

    def known(self, names: Sequence[str], n: int) -> BoolArray:
        """Return (n,) whether an image has a value in every one of these columns."""
        found = np.ones(n, bool)
        for name in names:
            found &= self.columns[name].codes >= 0
        return found

    def meets_before(self, where: Mapping[str, str], n: int) -> BoolArray:
        """Return (n,) whether an image may lie in the slice, as far as can be told before it is labelled."""
        return self.meets({name: value for name, value in where.items() if name not in DERIVED}, n)


def check_names(file: RequirementsFile, images: Images, label_names: Sequence[str]) -> None:
    """Refuse classes, columns and values that nothing has; where nothing is labelled yet any class may be.

    Raises:
        DataError: as said, with the line.
    """
    wanted = file.wanted
    known = sorted(set(label_names))
    if known and wanted.good is not None and wanted.good not in known:
        raise _unknown("no image is labelled so", wanted.good, known, file.where("good"))
    unseen = [name for name, one in wanted.classes.items() if one.unseen]
    for name in wanted.classes:
        if known and name not in known and name not in unseen:
            raise _unknown("no image is labelled so", name, known, file.where("classes", name),
                           hint="write `unseen: true` below it if the line has shown none yet")  # fmt: skip
    for i, one in enumerate(wanted.slices):
        if known and one.name not in known and one.name not in unseen:
            raise _unknown("no image is labelled so", one.name, known, file.where("slices", i, "class"))
        for column, value in one.where.items():
            _check_value(file, images, i, column, value)
    if wanted.group_column is not None and not images.column(wanted.group_column).values:
        raise _unknown("no image has such a column", wanted.group_column, list(images.columns()),
                       file.where("group_column"))  # fmt: skip


def read_cuts(workspace: Workspace, file: RequirementsFile, images: Images, rows: IntArray) -> Cuts:
    """Return every column that a slice names. rows: labelled images, whose defects are measured where that is needed.

    Raises:
        DataError: masks that cannot be read.
    """
    names = sorted({name for one in file.wanted.slices for name in one.where})
    measured: dict[str, list[float]] = {}
    notes: tuple[str, ...] = ()
    if set(names) & set(DERIVED):
        measured, notes = _measure(workspace, file, images, rows)
    columns = {}
    for name in names:
        bands = file.wanted.bands.get(name)
        if bands is None:
            columns[name] = images.column(name)
        else:
            numbers = measured[name] if name in DERIVED else _numbers(images.column(name))
            columns[name] = make_column([None if math.isnan(number) else band_of(number, bands) for number in numbers])
    return Cuts(columns, notes)


def _check_value(file: RequirementsFile, images: Images, i: int, column: str, value: str) -> None:
    where = file.where("slices", i, "where", column)
    bands = file.wanted.bands.get(column)
    if column in DERIVED:
        if bands is None:
            raise DataError(f"{column} is a number, and no band of it has a name", where=where, found=repr(value),
                            hint=f"name ranges of it below bands: {column}: {{small: [0, 0.01]}}")  # fmt: skip
        if file.wanted.masks is None:
            raise DataError(f"{column} is known from masks only", where=where, hint="name a table: masks: masks.csv")
    elif not images.column(column).values:
        raise _unknown("no image has such a column", column, [*images.columns(), *DERIVED], where)
    values = list(bands) if bands is not None else list(images.column(column).values)
    if value not in values:
        raise _unknown(f"no image has this {column}" if bands is None else f"no band of {column} is called so",
                       value, values, where)  # fmt: skip


def _unknown(what: str, name: str, known: Sequence[str], where: str, hint: str | None = None) -> DataError:
    near = difflib.get_close_matches(name, known, n=1)
    expected = near[0] if near else "one of " + ", ".join(known[:8]) if known else None
    return DataError(what, where=where, found=repr(name), expected=expected, hint=hint)


def _measure(
    workspace: Workspace, file: RequirementsFile, images: Images, rows: IntArray
) -> tuple[dict[str, list[float]], tuple[str, ...]]:
    assert file.wanted.masks is not None, "checked with the names"
    table = file.file_of(file.wanted.masks)
    outlines = read_outlines(table)
    with Catalog.open(workspace.catalog_place) as catalog:
        lookup = ImageLookup(catalog.resolve())
    of_id = {lookup.by_path(name, table.parent, where=str(table)): one for name, one in outlines.items()}
    found = {name: [math.nan] * len(images) for name in DERIVED}
    max_pixels = round(workspace.config.ingest.max_megapixels * 1e6)
    wanted = [image_id for image_id in images.names(rows) if image_id in of_id]
    at = images.find(pack_ids(wanted)) if wanted else np.empty(0, np.int64)
    for row, image in zip(at.tolist(), images.take(at) if wanted else (), strict=True):
        measured = measure_defect(Path(image.path), of_id[image.image_id], max_pixels)
        for name, value in measured.columns().items() if measured is not None else ():
            found[name][row] = value
    return found, (() if wanted else (f"{table.name} names no labelled image of this workspace",))


def read_number(text: str) -> float:
    """Return the number that a text is, NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _numbers(column: Column) -> Iterable[float]:
    of_value = [*map(read_number, column.values), math.nan]
    return [of_value[code] for code in column.codes.tolist()]
