"""How large, how strong and where a defect is, from a table of masks or boxes: the columns that only a label tells."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.images import decode_rgb

RING_PX = 8  # around a defect; its contrast is against the surface here
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Measured:
    """size: share of the image's area, 0..1. contrast: |mean inside - mean around it|, grey levels 0..255.

    x, y: centre as shares of width and height, 0..1.
    """

    size: float
    contrast: float
    x: float
    y: float

    def columns(self) -> dict[str, float]:
        return {"defect_size": self.size, "defect_contrast": self.contrast, "defect_x": self.x, "defect_y": self.y}


@dataclass(frozen=True)
class Outline:
    """What a table says of one image: a mask's file, or boxes x0, y0, x1, y1 in pixels."""

    mask: Path | None
    boxes: tuple[Box, ...]


def read_outlines(table: Path) -> dict[str, Outline]:
    """Return what a CSV of path,mask or path,x0,y0,x1,y1 says, by the path as it is written; empty masks left out.

    Raises:
        DataError: no such file, other columns, or a box that is no four numbers.
    """
    masks: dict[str, Path] = {}
    boxes: dict[str, list[Box]] = defaultdict(list)
    for where, row in _rows(table):
        if row.get("mask"):
            masks[row["path"]] = table.absolute().parent / row["mask"]
        elif row.get("x0"):
            boxes[row["path"]].append(_read_box(row, where))
    return {name: Outline(masks.get(name), tuple(boxes[name])) for name in dict.fromkeys([*masks, *boxes])}


def measure_defect(image: Path, outline: Outline, max_pixels: int) -> Measured | None:
    """Measure the defects of one image together; None where the mask is empty.

    Raises:
        DataError: an image or mask that cannot be read, or of different sizes.
    """
    grey = decode_rgb(image, max_pixels=max_pixels).mean(axis=2)
    inside = _inside(grey.shape, image, outline, max_pixels)
    return measure(grey.astype(np.float32), inside) if inside.any() else None


def measure(grey: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> Measured:
    """Measure what is ``inside`` (h, w) of a grey image (h, w); where it fills the image the contrast is 0."""
    import cv2

    h, w = inside.shape
    kernel = np.ones((2 * RING_PX + 1, 2 * RING_PX + 1), np.uint8)
    around = cv2.dilate(inside.astype(np.uint8), kernel).astype(bool) & ~inside
    contrast = abs(float(grey[inside].mean()) - float(grey[around].mean())) if around.any() else 0.0
    y, x = np.nonzero(inside)
    return Measured(float(inside.mean()), contrast, float(x.mean() + 0.5) / w, float(y.mean() + 0.5) / h)


def band_of(value: float, bands: Mapping[str, tuple[float, float]]) -> str | None:
    """Return the first band [low, high) that holds the value."""
    return next((name for name, (low, high) in bands.items() if low <= value < high), None)


def _inside(shape: tuple[int, ...], image: Path, outline: Outline, max_pixels: int) -> npt.NDArray[np.bool_]:
    if outline.mask is not None:
        mask = decode_rgb(outline.mask, max_pixels=max_pixels).max(axis=2) > 127  # masks have soft edges
        if mask.shape != shape:
            raise DataError("a mask does not fit its image", where=str(outline.mask),
                            found=f"{mask.shape[1]} x {mask.shape[0]}",
                            expected=f"{shape[1]} x {shape[0]}, as {image}")  # fmt: skip
        return np.asarray(mask)
    inside = np.zeros(shape, bool)
    for x0, y0, x1, y1 in outline.boxes:
        inside[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = True
    return inside


def _read_box(row: Mapping[str, str], where: str) -> Box:
    try:
        return (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
    except (KeyError, ValueError):
        raise DataError("not a box", where=where, expected="numbers in x0, y0, x1 and y1") from None


def _rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = set(reader.fieldnames or ())
            if "path" not in columns or not ("mask" in columns or {"x0", "y0", "x1", "y1"} <= columns):
                raise DataError("not a table of masks", where=str(table), found=", ".join(sorted(columns)) or "nothing",
                                expected="path,mask or path,x0,y0,x1,y1")  # fmt: skip
            for row in reader:
                yield f"{table}:{reader.line_num}", {str(key): str(value or "").strip() for key, value in row.items()}
    except OSError as error:
        raise DataError("cannot read the masks", where=str(table), found=error.strerror) from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError("not a CSV file in UTF-8", where=str(table), found=str(error)) from None
