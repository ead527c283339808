"""Masks as tools write them: runs over the whole image, by columns (COCO) or by rows, plain or packed as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from activesel.annotations import Mask
from activesel.errors import DataError
from activesel.labels.fields import MOST_PIXELS, make_mask

_OFFSET, _MORE, _SIGN, _LOW = 48, 0x20, 0x10, 0x1F  # cocoapi, common/maskApi.c: rleToString

Frame = tuple[int, int, int, int]
Order = Literal["C", "F"]


def lay_out(mask: Mask) -> npt.NDArray[np.bool_]:
    """Return a mask's crop (height, width)."""
    flat = np.repeat(np.arange(len(mask.runs)) % 2 == 1, mask.runs)
    return np.asarray(flat.reshape(mask.height, mask.width), np.bool_)


def to_runs(mask: Mask, width: int, height: int, *, order: Order) -> list[int]:
    """Return runs of outside, inside, ... over an image; what lies beyond the image is cut off.

    order: "F", column by column, or "C", row by row.
    """
    rows, columns = np.nonzero(lay_out(mask))
    rows, columns = rows + mask.top, columns + mask.left
    inside = (columns < width) & (rows < height)
    rows, columns = rows[inside], columns[inside]
    at = np.sort(columns * height + rows) if order == "F" else rows * width + columns
    if not len(at):
        return [width * height]
    starts = at[np.r_[True, np.diff(at) > 1]]
    ends = at[np.r_[np.diff(at) > 1, True]] + 1
    edges = np.r_[0, np.c_[starts, ends].ravel(), width * height]
    runs: list[int] = np.diff(edges).tolist()
    return runs if runs[-1] else runs[:-1]


def from_runs(
    name: object,
    size: tuple[int, int],
    runs: Sequence[int],
    where: str,
    frame: Frame | None,
    score: object,
    *,
    order: Order,
) -> Mask:
    """Return the mask of an image of that height and width, cropped to ``frame`` where it holds all of it.

    frame: left, top, width, height. runs: whole numbers from 0 up that fill the image.

    Raises:
        DataError: they do not, the image is too large, or no pixel is inside.
    """
    height, width = size
    if not 0 < height * width <= MOST_PIXELS or sum(runs) != height * width:
        raise DataError("a mask's runs do not fill its image", where=where, found=f"{sum(runs)} pixels",
                        expected=f"{width} x {height}, at least 1 and at most {MOST_PIXELS}")  # fmt: skip
    whole = np.repeat(np.arange(len(runs)) % 2 == 1, np.asarray(runs, np.int64)).reshape(size, order=order)
    return from_pixels(name, whole, where, frame, score)


def from_pixels(
    name: object, whole: npt.NDArray[np.bool_], where: str, frame: Frame | None = None, score: object = None
) -> Mask:
    """Return the mask of an image's pixels (height, width), cropped to ``frame`` where it holds all of it, else tight.

    Raises:
        DataError: no pixel is inside.
    """
    tight = _tight(whole)
    if tight is None:
        raise DataError("a mask without a pixel", where=where)
    left, top, w, h = frame if frame is not None and _holds(frame, tight, whole.shape) else tight
    flat = whole[top : top + h, left : left + w].ravel()
    edges = np.r_[0, np.flatnonzero(flat[1:] != flat[:-1]) + 1, len(flat)]
    found = np.diff(edges).tolist()
    return make_mask(name, (left, top, w, h), [0, *found] if flat[0] else found, where, score)


def _tight(whole: npt.NDArray[np.bool_]) -> Frame | None:
    columns, rows = np.flatnonzero(whole.any(axis=0)), np.flatnonzero(whole.any(axis=1))
    if not len(columns):
        return None
    return (int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))


def _holds(frame: Frame, tight: Frame, size: tuple[int, ...]) -> bool:
    (x, y, w, h), (left, top, width, height) = frame, tight
    inside = x <= left and y <= top and x + w >= left + width and y + h >= top + height
    return inside and min(x, y) >= 0 and x + w <= size[1] and y + h <= size[0]


def unpack_runs(text: str, where: str) -> list[int]:
    """Return the runs of a packed text; from the third on, what is packed is the difference to the run two before.

    Raises:
        DataError: not such a text.
    """
    runs: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - _OFFSET
        if not 0 <= bits < 64 or shift > 35:
            raise DataError("not a packed mask", where=where, found=ascii(text[:20]))
        value |= (bits & _LOW) << shift
        shift += 5
        if not bits & _MORE:
            value -= (1 << shift) if bits & _SIGN else 0
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift or any(run < 0 for run in runs):
        raise DataError("not a packed mask", where=where, found=ascii(text[-20:]))
    return runs
