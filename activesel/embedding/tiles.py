"""Large images as a pyramid: the whole and overlapping tiles of it, so that a small defect keeps some pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

OVERLAP = 1 / 8  # of a tile's side, shared with the next: what one tile cuts, the other shows whole
LARGE = 2  # times the network's input; a smaller image loses little by being shrunk


class Tile(NamedTuple):
    """A part of an image in pixels of that image: rows y0..y1, columns x0..x1, ends left out."""

    y0: int
    x0: int
    y1: int
    x1: int


def plan_tiles(height: int, width: int, input_px: int, most: int) -> tuple[Tile, ...]:
    """Return the whole image, and after it at most ``most`` tiles where its smaller side is over twice ``input_px``.

    Tiles are near-square, of one size, cover everything and overlap; as small as ``most`` allows, but never below
    ``input_px``, where enlarging would begin.
    """
    whole = Tile(0, 0, height, width)
    if most < 2 or min(height, width) <= LARGE * input_px:
        return (whole,)
    side = max(float(input_px), math.sqrt(height * width / most))
    while _count(height, side) * _count(width, side) > most:
        side *= 1.02
    rows, columns = (_cut(length, side) for length in (height, width))
    return (whole, *(Tile(y0, x0, y1, x1) for y0, y1 in rows for x0, x1 in columns))


def _count(length: int, side: float) -> int:
    return max(1, math.ceil((length - side * OVERLAP) / (side * (1 - OVERLAP))))


def _cut(length: int, side: float) -> list[tuple[int, int]]:
    """Spread tiles of equal size evenly from the first pixel to the last."""
    number, size = _count(length, side), min(length, math.ceil(side))
    starts = [round(i * (length - size) / max(1, number - 1)) for i in range(number)]
    return [(start, start + size) for start in starts]
