"""Boxes and polygons of the user's own detector, checked: each of a known class, finite, and inside its image."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from activesel.annotations import Box, Polygon, Shape
from activesel.errors import DataError
from activesel.predictions.columns import SHAPE_COLUMNS, read_class_names, read_names, read_table
from activesel.predictions.matching import match_rows

MOST_SHAPES = 1000  # of one image: nobody corrects more, and Label Studio shows no more
MOST_NUMBERS = 2000  # of one polygon, two a corner
_SLACK_PX = 1.0  # detectors overshoot the border by a fraction of a pixel, which is cut off
_BLOCK = 10_000  # rows that become Python values at a time
_CORNERS = ("x0", "y0", "x1", "y1")


def read_shapes(
    path: Path, resolve: Mapping[str, str], sizes: Mapping[str, tuple[int, int]], known: Collection[str]
) -> dict[str, tuple[Shape, ...]] | None:
    """Return the shapes of each of these images that has a row, by image id; None where the file names no shapes.

    resolve: path -> image id of every image known. sizes: width and height in pixels of each image asked for. known:
    classes beside those in the file's metadata. What names a box: box_names, else the likeliest of its box_probs.

    Raises:
        DataError: the file cannot be read, or a shape is wrong; the message names the row (the first is 0).
    """
    table, where = read_table(path, shapes=True), str(path)
    listed = read_class_names(table, where)
    columns = [name for name in SHAPE_COLUMNS if name in table.column_names]
    named = {"polygons", "box_names"} & {*columns} or ("boxes" in columns and "box_probs" in columns and listed)
    if not named:
        return None
    _check_columns(columns, where)
    matched = match_rows(read_names(table, where), resolve, list(sizes), where=where, folder=path.parent)
    wanted = sorted((row, image_id) for row, image_id in zip(matched.rows.tolist(), sizes, strict=True) if row >= 0)
    reader = _Reader(listed or (), frozenset((*(listed or ()), *known)))
    found: dict[str, tuple[Shape, ...]] = {}
    for start in range(0, len(wanted), _BLOCK):
        part = wanted[start : start + _BLOCK]
        rows = table.select(columns).take([row for row, _ in part]).to_pylist()
        for (row, image_id), cells in zip(part, rows, strict=True):
            found[image_id] = tuple(reader.read(cells, sizes[image_id], f"{where}, row {row}"))
    return found


def _check_columns(columns: Sequence[str], where: str) -> None:
    """A column that says something about shapes which are not there was meant to be another."""
    for shapes, about in (("boxes", ("box_names", "box_scores")), ("polygons", ("polygon_names", "polygon_scores"))):
        lone = [name for name in about if name in columns and shapes not in columns]
        if lone:
            raise DataError(f"column {lone[0]} without column {shapes}", where=where)
    if "polygons" in columns and "polygon_names" not in columns:
        raise DataError("polygons without their classes", where=where, expected="column polygon_names")


class _Reader:
    """listed: classes in the order of box_probs. known: those that a shape may have."""

    def __init__(self, listed: Sequence[str], known: frozenset[str]) -> None:
        self._listed, self._known = listed, known

    def read(self, cells: Mapping[str, Any], size: tuple[int, int], where: str) -> Iterator[Shape]:
        """Yield the shapes of one row."""
        if 0 in size:
            raise DataError("the size of this image is not known", where=where, hint="run `activesel ingest` again")
        boxes, names, scores = (self._list(cells, key, where) for key in ("boxes", "box_names", "box_scores"))
        probs = self._list(cells, "box_probs", where) if "box_names" not in cells else []
        for number, box in enumerate(boxes):
            at = f"{where}, box {number}"
            if "box_names" in cells:
                name, score = _item(names, number, at), _item(scores, number, at) if "box_scores" in cells else None
            else:
                name, score = self._likeliest(_item(probs, number, at), at)
            x0, y0, x1, y1 = self._numbers(_corners_of(box), at, size, 4, 4)
            if not (x0 < x1 and y0 < y1):
                raise DataError("a box without area", where=at, found=f"({x0:g}, {y0:g}) to ({x1:g}, {y1:g})")
            yield Box(self._name(name, at), x0, y0, x1, y1, _share(score, at))
        self._check_length(len(boxes), len(names), "box_names", cells, where)
        self._check_length(len(boxes), len(scores), "box_scores", cells, where)
        yield from self._polygons(cells, size, where)

    def _polygons(self, cells: Mapping[str, Any], size: tuple[int, int], where: str) -> Iterator[Polygon]:
        keys = ("polygons", "polygon_names", "polygon_scores")
        polygons, names, scores = (self._list(cells, key, where) for key in keys)
        for key, given in zip(keys[1:], (names, scores), strict=True):
            self._check_length(len(polygons), len(given), key, cells, where)
        for number, flat in enumerate(polygons):
            at = f"{where}, polygon {number}"
            numbers = self._numbers(flat, at, size, 6, MOST_NUMBERS)
            points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
            if not _area(points):
                raise DataError("a polygon without area", where=at)
            score = scores[number] if scores else None
            yield Polygon(self._name(names[number], at), points, _share(score, at))

    def _list(self, cells: Mapping[str, Any], key: str, where: str) -> list[Any]:
        found = cells.get(key, [])
        if not isinstance(found, list) or len(found) > MOST_SHAPES:
            raise DataError(f"column {key} holds no list of shapes", where=where,
                            found=f"{len(found)} of them" if isinstance(found, list) else type(found).__name__,
                            expected=f"a list of at most {MOST_SHAPES}, empty where nothing was found")  # fmt: skip
        return found

    def _check_length(self, n_shapes: int, n: int, key: str, cells: Mapping[str, Any], where: str) -> None:
        if key in cells and n != n_shapes:
            raise DataError(f"{key} and shapes differ in number", where=where, found=str(n), expected=str(n_shapes))

    def _likeliest(self, probs: Any, where: str) -> tuple[str, float]:
        """Return the class of a box and its probability; 1 less their sum is the background's."""
        if not isinstance(probs, list) or len(probs) != len(self._listed) or not all(map(_is_finite, probs)):
            raise DataError("a box's probabilities do not fit the classes", where=where, found=ascii(probs)[:80],
                            expected=f"{len(self._listed)} numbers")  # fmt: skip
        best = max(range(len(probs)), key=probs.__getitem__)
        return self._listed[best], probs[best]

    def _name(self, name: Any, where: str) -> str:
        if name not in self._known:
            raise DataError("a shape of a class that nobody knows", where=where, found=ascii(name)[:80],
                            expected="one of " + ", ".join(sorted(self._known)[:20]),
                            hint="list the model's classes in the schema's metadata under `classes`")  # fmt: skip
        return str(name)

    def _numbers(self, given: Any, where: str, size: tuple[int, int], least: int, most: int) -> list[float]:
        """Return coordinates x, y, x, y, ..., what overshoots the image by less than a pixel cut off."""
        fits = isinstance(given, list) and least <= len(given) <= most and not len(given) % 2
        if not fits or not all(map(_is_finite, given)):
            more = " or more, x and y in turn" if most > least else ""
            raise DataError("not the coordinates of a shape", where=where, found=ascii(given)[:80],
                            expected=f"{least} finite numbers{more}")  # fmt: skip
        found = []
        for at, value in enumerate(given):
            side = size[at % 2]
            if not -_SLACK_PX <= value <= side + _SLACK_PX:
                raise DataError("a shape does not lie in its image", where=where, found=f"{'xy'[at % 2]} = {value:g}",
                                expected=f"0 to {side} px", hint="pixels of the image as it is stored")  # fmt: skip
            found.append(float(min(max(value, 0), side)))
        return found


def _corners_of(box: Any) -> Any:
    """Return [x0, y0, x1, y1] of a struct with these fields, anything else as it is."""
    return [box.get(key) for key in _CORNERS] if isinstance(box, dict) else box


def _item(values: Sequence[Any], number: int, where: str) -> Any:
    if number >= len(values):
        raise DataError("a box without a class or a score", where=where, found=f"{len(values)} of them in this row")
    return values[number]


def _share(score: Any, where: str) -> float | None:
    if score is None:
        return None
    if not _is_finite(score) or not 0 <= score <= 1:
        raise DataError("not a score", where=where, found=ascii(score)[:40], expected="0 to 1")
    return float(score)


def _area(points: Sequence[tuple[float, float]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise((*points, points[0])))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
