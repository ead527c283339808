"""Check one value of an untrusted file at a time; each complaint says where the value stands."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from activesel.annotations import Box, Mask, Polygon, Role
from activesel.errors import DataError

_LONGEST = 2000  # characters of a name, a reason, an id
_FARTHEST = 1e9  # pixels; beyond it is a mistake, and squares of it still fit a float
MOST_PIXELS = 1 << 27  # of a mask that is laid out to be read: a byte each
_WRONG = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML, databases, UTF-8 do not hold them


def shorten(text: str) -> str:
    """Return a text of a file as a complaint may show it: one line, of 200 characters at most."""
    return " ".join(text.split())[:200]


def as_text(value: object, what: str, where: str, *, may_be_empty: bool = False) -> str:
    """Return a text without the spaces around it; a number counts as its digits.

    Raises:
        DataError: not a text, an empty one, too long a one, or one with characters that are none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 1 << 64 else None
    if not isinstance(value, str):
        raise DataError(f"{what} is not a text", where=where, found=type(value).__name__)
    text = value.strip()
    if len(text) > _LONGEST:
        raise DataError(f"{what} is too long", where=where, found=f"{len(text)} characters",
                        expected=f"at most {_LONGEST}")  # fmt: skip
    if _WRONG.search(text):
        raise DataError(f"{what} holds a character that is none", where=where, found=ascii(text[:80]))
    if not text and not may_be_empty:
        raise DataError(f"{what} is empty", where=where)
    return text


def as_number(value: object, what: str, where: str, *, low: float = -_FARTHEST, high: float = _FARTHEST) -> float:
    """Return a finite number within the range; a text is read as one.

    Raises:
        DataError: it is not.
    """
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not low <= number <= high:
        raise DataError(f"{what} is not a number within its range", where=where, found=ascii(value)[:80],
                        expected=f"{low:g} to {high:g}")  # fmt: skip
    return number


def as_whole(value: object, what: str, where: str, *, high: int = MOST_PIXELS) -> int:
    """Return a whole number from 0 up.

    Raises:
        DataError: it is none.
    """
    number = as_number(value, what, where, low=0, high=high)
    if number != int(number):
        raise DataError(f"{what} is not a whole number", where=where, found=ascii(value)[:80])
    return int(number)


def as_object(value: object, what: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{what} is not an object", where=where, found=type(value).__name__)
    return value


def as_list(value: object, what: str, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(f"{what} is not a list", where=where, found=type(value).__name__)
    return value


def as_time(value: object, what: str, where: str) -> str:
    """Return a moment as UTC in ISO 8601, empty for none. A number is seconds since 1970; a text without zone is UTC.

    Raises:
        DataError: it is no moment.
    """
    if value is None or value == "":
        return ""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).isoformat()
        moment = datetime.fromisoformat(as_text(value, what, where))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise DataError(f"{what} is not a moment", where=where, found=ascii(value)[:80],
                        expected="ISO 8601, as in 2026-01-31T12:00:00Z") from None  # fmt: skip


def as_role(value: object, where: str) -> Role:
    try:
        return Role(str(value))
    except ValueError:
        raise DataError("not a role", where=where, found=ascii(value)[:80], expected=", ".join(Role)) from None


def as_seconds(value: object, what: str, where: str) -> float | None:
    return None if value is None or value == "" else as_number(value, what, where, low=0)


def as_share(value: object, what: str, where: str) -> float | None:
    return None if value is None or value == "" else as_number(value, what, where, low=0, high=1)


def make_box(name: object, corners: Sequence[object], where: str, score: object = None) -> Box:
    """Return a box by its corners x0, y0, x1, y1 in pixels, which may be given in either order.

    Raises:
        DataError: it has no name, no four numbers, or no area.
    """
    if len(corners) != 4:
        raise DataError("a box has not four numbers", where=where, found=str(len(corners)))
    x0, y0, x1, y1 = (as_number(one, "a coordinate", where) for one in corners)
    x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    if x0 == x1 or y0 == y1:
        raise DataError("a box without area", where=where, found=f"{x0:g},{y0:g},{x1:g},{y1:g}")
    return Box(as_text(name, "a class", where), x0, y0, x1, y1, as_share(score, "a score", where))


def make_sized_box(name: object, values: Sequence[object], where: str, score: object = None) -> Box:
    """Return a box by its upper left corner, its width and its height in pixels.

    Raises:
        DataError: it has no name, no four numbers, or no area.
    """
    if len(values) != 4:
        raise DataError("a box has not four numbers", where=where, found=str(len(values)))
    x, y, width, height = (as_number(one, "a coordinate", where) for one in values)
    if min(width, height) <= 0:
        raise DataError("a box without area", where=where, found=f"width {width:g}, height {height:g}")
    return make_box(name, (x, y, x + width, y + height), where, score)


def make_polygon(name: object, points: Sequence[Sequence[object]], where: str, score: object = None) -> Polygon:
    """Return a polygon by its corners in pixels.

    Raises:
        DataError: it has no name, fewer than three corners, or a corner without two numbers.
    """
    if len(points) < 3 or any(len(point) != 2 for point in points):
        raise DataError("not a polygon", where=where, found=f"{len(points)} corners",
                        expected="three or more, of two numbers each")  # fmt: skip
    corners = tuple((as_number(x, "a coordinate", where), as_number(y, "a coordinate", where)) for x, y in points)
    return Polygon(as_text(name, "a class", where), corners, as_share(score, "a score", where))


def make_mask(name: object, frame: Sequence[object], runs: Sequence[object], where: str, score: object = None) -> Mask:
    """Return a mask by its frame left, top, width, height and its runs, which are not laid out.

    Raises:
        DataError: it has no name, no such frame, or runs that do not add up to it.
    """
    left, top, width, height = (as_whole(one, "a mask's frame", where) for one in frame)
    counted = tuple(as_whole(one, "a run of a mask", where) for one in runs)
    if width * height > MOST_PIXELS or not width * height or sum(counted) != width * height:
        raise DataError("a mask's runs do not fill its frame", where=where, found=f"{sum(counted)} pixels",
                        expected=f"{width} x {height}, at least 1 and at most {MOST_PIXELS}")  # fmt: skip
    return Mask(as_text(name, "a class", where), left, top, width, height, counted, as_share(score, "a score", where))
