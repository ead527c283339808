"""Where in an image something is odd: a score, a box, a map, from the distances of its patches to the bank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from activesel.embedding.tiles import Tile

ODD_FROM = 2.0  # a score below it is of most good images too: docs/embedding.md
BOX_SHARE = 0.5  # of the way from the usual distance to the peak: what is as odd belongs to the same box
_KERNEL = np.array([1, 2, 1], np.float32) / 4

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Novelty:
    """score: the peak of the smoothed map, in usual deviations from the usual distance; higher = odder, 0 = as usual.
    box: (x0, y0, x1, y1) around the peak, as shares of the image's width and height, 0..1.
    """

    score: float
    box: tuple[float, float, float, float]

    def box_px(self, width_px: int, height_px: int) -> tuple[int, int, int, int]:
        """Return the box in pixels of the image, the last ones left out, at least one pixel each way."""
        x0, y0, x1, y1 = self.box
        left, top = min(int(x0 * width_px), width_px - 1), min(int(y0 * height_px), height_px - 1)
        return left, top, max(left + 1, round(x1 * width_px)), max(top + 1, round(y1 * height_px))


def smooth(oddness: Floats) -> Floats:
    """Return the map (h, w) averaged with its neighbours, so that one odd cell counts less than two."""
    return np.asarray(cv2.sepFilter2D(np.asarray(oddness, np.float32), -1, _KERNEL, _KERNEL,
                                      borderType=cv2.BORDER_REPLICATE), np.float32)  # fmt: skip


def describe_novelty(oddness: Floats) -> Novelty:
    """Return the score and the best box of a map (h, w)."""
    smoothed = smooth(oddness)
    (box,) = propose_boxes(oddness, 1)
    return Novelty(float(smoothed.max()), box)


def propose_boxes(oddness: Floats, most: int = 3) -> list[tuple[float, float, float, float]]:
    """Return the oddest connected regions of a map (h, w) as boxes, oddest first, at least one.

    A region holds the cells above ``BOX_SHARE`` of the map's peak; boxes are shares of width and height, 0..1.
    """
    smoothed = smooth(oddness)
    h, w = smoothed.shape
    peak = float(smoothed.max())
    above = (smoothed >= (BOX_SHARE * peak if peak > 0 else peak)).astype(np.uint8)
    number, regions, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    peaks = {region: float(smoothed[regions == region].max()) for region in range(1, number)}
    order = sorted(peaks, key=lambda region: (-peaks[region], region))[:most]
    boxes = []
    for region in order:
        x, y, width, height = (int(value) for value in stats[region][:4])
        boxes.append((x / w, y / h, (x + width) / w, (y + height) / h))
    return boxes


def merge_maps(maps: Floats, tiles: tuple[Tile, ...]) -> Floats:
    """Return one map (h, w) of an image from its tiles' (t, r, c); where tiles overlap the oddest view counts.

    The whole image, which is first, counts only where there are no tiles: it has another scale.
    """
    if len(tiles) == 1:
        return np.asarray(maps[0], np.float32)
    whole, first = tiles[0], tiles[1]
    rows, columns = maps.shape[1:]
    h = max(rows, math.floor(rows * whole.y1 / (first.y1 - first.y0)))
    w = max(columns, math.floor(columns * whole.x1 / (first.x1 - first.x0)))
    merged = np.full((h, w), -np.inf, np.float32)
    for oddness, tile in zip(maps[1:], tiles[1:], strict=True):
        y0, x0 = min(round(tile.y0 / whole.y1 * h), h - rows), min(round(tile.x0 / whole.x1 * w), w - columns)
        part = merged[y0 : y0 + rows, x0 : x0 + columns]
        np.maximum(part, oddness, out=part)
    return merged
