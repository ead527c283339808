"""Whether two people drew the same shapes: overlap of boxes, polygons and masks, matched one to one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.annotations import Box, Mask, Polygon, Shape
from activesel.records import BoolArray

GRID_PX = 512  # longest side on which shapes that are no boxes are compared, whatever their size

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Matched:
    """Two people's shapes on one image. pairs: (index of the first's, of the second's, their IoU), each index once."""

    n_first: int
    n_second: int
    pairs: tuple[tuple[int, int, float], ...]

    @property
    def is_same(self) -> bool:
        return self.n_first == self.n_second == len(self.pairs)


@dataclass(frozen=True)
class ShapeAgreement:
    """Over many images. f1: 2 matched / (all of the first + all of the second), None without any shape.

    mean_iou: of the matched, None without. names: of the matched, the first's and the second's, for a table of classes.
    """

    n_images: int
    n_first: int
    n_second: int
    n_matched: int
    f1: float | None
    mean_iou: float | None
    names: tuple[tuple[str, str], ...]


def match_shapes(first: Sequence[Shape], second: Sequence[Shape], least_iou: float) -> Matched:
    """Match shapes one to one, by the largest sum of IoU (Kuhn 1955); below least_iou nothing matches.

    Classes play no part: who calls the same spot something else has found it.
    """
    from scipy.optimize import linear_sum_assignment

    iou = np.array([[measure_iou(a, b) for b in second] for a in first]).reshape(len(first), len(second))
    rows, columns = linear_sum_assignment(np.where(iou >= least_iou, iou, 0.0), maximize=True)
    pairs = [(int(i), int(j), float(iou[i, j])) for i, j in zip(rows, columns, strict=True) if iou[i, j] >= least_iou]
    return Matched(len(first), len(second), tuple(pairs))


def summarise(images: Iterable[tuple[Sequence[Shape], Sequence[Shape]]], least_iou: float) -> ShapeAgreement:
    """Match the shapes of two people on each image, and add up."""
    n_images, n_first, n_second = 0, 0, 0
    overlaps: list[float] = []
    names: list[tuple[str, str]] = []
    for first, second in images:
        matched = match_shapes(first, second, least_iou)
        n_images, n_first, n_second = n_images + 1, n_first + matched.n_first, n_second + matched.n_second
        overlaps += [iou for _, _, iou in matched.pairs]
        names += [(first[i].name, second[j].name) for i, j, _ in matched.pairs]
    total = n_first + n_second
    return ShapeAgreement(n_images, n_first, n_second, len(names), 2 * len(names) / total if total else None,
                          float(np.mean(overlaps)) if overlaps else None, tuple(names))  # fmt: skip


def measure_iou(first: Shape, second: Shape) -> float:
    """Return intersection over union, 0..1: exact for two boxes, else on a grid of GRID_PX at most.

    >>> measure_iou(Box("a", 0, 0, 4, 4), Box("a", 2, 0, 6, 4))
    0.3333333333333333
    """
    a, b = find_bounds(first), find_bounds(second)
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    if isinstance(first, Box) and isinstance(second, Box):
        both = across * down
        return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
    whole = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
    left, right = draw_shape(first, whole), draw_shape(second, whole)
    union = int((left | right).sum())
    return int((left & right).sum()) / union if union else 0.0


def find_bounds(shape: Shape) -> Bounds:
    """Return x0, y0, x1, y1 in pixels."""
    if isinstance(shape, Box):
        return (shape.x0, shape.y0, shape.x1, shape.y1)
    if isinstance(shape, Mask):
        return (shape.left, shape.top, shape.left + shape.width, shape.top + shape.height)
    xs, ys = zip(*shape.points, strict=True)
    return (min(xs), min(ys), max(xs), max(ys))


def draw_shape(shape: Shape, within: Bounds) -> BoolArray:
    """Return (h, w) which cells of a grid over ``within`` the shape covers; its longest side has GRID_PX cells."""
    x0, y0, x1, y1 = within
    scale = GRID_PX / max(x1 - x0, y1 - y0)
    w, h = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    if isinstance(shape, Mask):
        return _resample(shape, x0 + (np.arange(w) + 0.5) / scale, y0 + (np.arange(h) + 0.5) / scale)
    import cv2

    corners = shape.points if isinstance(shape, Polygon) else (
        (shape.x0, shape.y0), (shape.x1, shape.y0), (shape.x1, shape.y1), (shape.x0, shape.y1))  # fmt: skip
    grid = np.zeros((h, w), np.uint8)
    points = (np.array(corners) - (x0, y0)) * scale - 0.5  # to the centres of cells
    cv2.fillPoly(grid, [np.round(points * 16).astype(np.int32)], 1, shift=4)  # sixteenths of a cell
    return grid.astype(bool)


def _resample(mask: Mask, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]) -> BoolArray:
    inside = np.repeat(np.arange(len(mask.runs)) % 2 == 1, mask.runs).reshape(mask.height, mask.width)
    columns, rows = np.floor(xs - mask.left).astype(np.int64), np.floor(ys - mask.top).astype(np.int64)
    within = ((rows >= 0) & (rows < mask.height))[:, None] & ((columns >= 0) & (columns < mask.width))[None, :]
    found = inside[rows.clip(0, mask.height - 1)][:, columns.clip(0, mask.width - 1)]
    return np.asarray(found & within)
