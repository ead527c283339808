"""Re-drawing a thin curved defect, a C or an S, along its own course: longer or shorter, more or less curled.

The course is the longest path of the mask's skeleton. A pixel beside the new course comes from the same place beside
the old one, so width and texture stay however strongly the line curves; centreline.py needs a line over its chord.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from synth.background import grow
from synth.records import Donor, Mask

Points = npt.NDArray[np.float32]  # (n, 2) x, y in px from the crop's middle, one a pixel along
THIN = 8.0  # length / width from which a defect is a line
WHOLE = 0.85  # share of the mask that lies along the path; less: it branches, or is in pieces
SMOOTH_PX = 3.0
MOST_PX = 160  # a larger defect belongs to the part (look.LARGE_PX)
MOST_TURN = 1.5 * np.pi  # from end to end; a line that turns further may meet itself
BESIDE_PX = 5.0  # beyond the line's edge, where its own ground is
_SMOOTH_REACH = 9
_OUTSIDE = -1e4  # px from the crop's middle
_FULL = 0.3  # of the crop: no line fills so much, and to thin a blob takes long


@dataclass(frozen=True)
class Course:
    """points: (n, 2). width: px."""

    points: Points
    width: float

    @property
    def beside(self) -> float:
        """How far from the course a pixel still comes from beside it."""
        return self.width / 2 + BESIDE_PX


def course_of(donor: Donor) -> Course | None:
    """Return the course of a thin defect within its image; None where it is no single line."""
    if any(donor.at_edge) or max(donor.mask.shape) > MOST_PX or donor.mask.mean() > _FULL:
        return None
    return _find_course(np.ascontiguousarray(donor.mask).tobytes(), donor.mask.shape[0], donor.mask.shape[1])


def redraw(course: Course, stretch: float, curl: float, sway: float) -> Points:
    """Return the new course, as many points as the old one, its middle in the same place.

    stretch: of its length. curl: of its turning, 0 = as it is, 1 = twice. sway: turned more to one end, rad.
    """
    steps = np.diff(course.points, axis=0)
    angle = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    at = np.linspace(-1, 1, len(angle))
    curl = min(curl, max(0.0, MOST_TURN / max(float(np.ptp(angle)), 1e-6) - 1))
    angle = angle.mean() + (1 + curl) * (angle - angle.mean()) + sway * (at * at - 1 / 3)
    length = np.hypot(steps[:, 0], steps[:, 1]) * stretch
    moves = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    moved = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, 0)])
    return np.asarray(moved - moved.mean(axis=0) + course.points.mean(axis=0), np.float32)


def from_redrawn(
    x: npt.NDArray[np.float32], y: npt.NDArray[np.float32], course: Course, new: Points
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """For points (h, w) of the re-drawn crop where they come from in the old one, px from the middle.

    What lies further from the line than its own ground comes from outside the crop: sent along a tangent it would meet
    the line again elsewhere.
    """
    low = np.floor(new.min(axis=0) - 2).astype(int)
    height, width = (np.ceil(new.max(axis=0) + 3).astype(int) - low)[::-1]
    blank = np.full((height, width), 255, np.uint8)
    cells = np.rint(new - low).astype(int)
    blank[cells[:, 1], cells[:, 0]] = 0
    _, labels = cv2.distanceTransformWithLabels(blank, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    point_of = np.zeros(labels.max() + 1, int)
    point_of[labels[cells[:, 1], cells[:, 0]]] = np.arange(len(new))
    column = np.clip(np.rint(x - low[0]).astype(int), 0, width - 1)
    row = np.clip(np.rint(y - low[1]).astype(int), 0, height - 1)
    nearest = point_of[labels[row, column]]
    tangent, old_tangent = _tangents(new), _tangents(course.points)
    dx, dy = x - new[nearest, 0], y - new[nearest, 1]
    tx, ty = tangent[nearest, 0], tangent[nearest, 1]
    scale = float(_length(course.points) / max(_length(new), 1e-6))
    forward, aside = (dx * tx + dy * ty) * scale, dy * tx - dx * ty
    ox, oy = old_tangent[nearest, 0], old_tangent[nearest, 1]
    own_x = course.points[nearest, 0] + forward * ox - aside * oy
    own_y = course.points[nearest, 1] + forward * oy + aside * ox
    far = dx * dx + dy * dy > course.beside**2
    return np.where(far, _OUTSIDE, own_x).astype(np.float32), np.where(far, _OUTSIDE, own_y).astype(np.float32)


@lru_cache(maxsize=512)
def _find_course(content: bytes, height: int, width: int) -> Course | None:
    mask = np.frombuffer(content, np.bool_).reshape(height, width)
    path = _longest_path(thin(mask))
    if len(path) < 2 * _SMOOTH_REACH:
        return None
    on_path = np.zeros_like(mask)
    on_path[path[:, 1], path[:, 0]] = True
    wide = mask.sum() / len(path)
    near = grow(on_path, int(np.ceil(wide)))
    if len(path) < THIN * wide or (mask & near).sum() < WHOLE * mask.sum():
        return None
    middle = np.array([width / 2 - 0.5, height / 2 - 0.5])
    points = np.asarray(_smooth(path.astype(np.float64)) - middle, np.float32)
    course = Course(points, float(mask.sum() / _length(points)))
    return None if _meets_itself(course) else course


def _meets_itself(course: Course) -> bool:
    """Tell whether beside one stretch of the line lies another: a pixel there would have two places to come from."""
    apart = np.hypot(*(course.points[:, None] - course.points[None]).transpose(2, 0, 1))
    along = np.abs(np.subtract.outer(np.arange(len(apart)), np.arange(len(apart))))
    return bool((apart[along > 3 * course.beside] < 1.5 * course.beside).any())


def thin(mask: Mask) -> Mask:
    """Return the skeleton, one pixel wide (Zhang and Suen 1984, doi:10.1145/357994.358023)."""
    image = np.pad(mask, 1)
    while True:
        changed = False
        for first in (True, False):
            p2, p3, p4, p5, p6, p7, p8, p9 = (image[1 + y : image.shape[0] - 1 + y, 1 + x : image.shape[1] - 1 + x]
                                              for y, x in _AROUND)  # fmt: skip
            ring = [p2, p3, p4, p5, p6, p7, p8, p9, p2]
            turns = sum((~a & b).astype(np.int8) for a, b in pairwise(ring))
            count = sum(one.astype(np.int8) for one in ring[:8])
            corner = (~(p2 & p4 & p6) & ~(p4 & p6 & p8)) if first else (~(p2 & p4 & p8) & ~(p2 & p6 & p8))
            drop = image[1:-1, 1:-1] & (count >= 2) & (count <= 6) & (turns == 1) & corner
            changed = changed or bool(drop.any())
            image[1:-1, 1:-1] &= ~drop
        if not changed:
            return image[1:-1, 1:-1]


_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from above


def _longest_path(skeleton: Mask) -> npt.NDArray[np.int_]:
    """Return the pixels (n, 2), x and y, of the longest of the shortest ways through the largest piece."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(skeleton.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.empty((0, 2), int)
    ys, xs = np.nonzero(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
    pixels = set(zip(xs.tolist(), ys.tolist(), strict=True))
    way = _walk(pixels, min(pixels))
    return np.array(_walk(pixels, way[-1]))


def _walk(pixels: set[tuple[int, int]], start: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the way from ``start`` to the pixel that is the most steps away."""
    came = {start: start}
    queue, last = deque([start]), start
    while queue:
        last = queue.popleft()
        for dy, dx in _AROUND[::2] + _AROUND[1::2]:
            there = (last[0] + dx, last[1] + dy)
            if there in pixels and there not in came:
                came[there] = last
                queue.append(there)
    way = [last]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]


def _smooth(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Smooth a path (its ends held, mirrored through themselves) and space its points a pixel apart."""
    reach = _SMOOTH_REACH
    long = np.concatenate([2 * path[0] - path[reach:0:-1], path, 2 * path[-1] - path[-2 : -reach - 2 : -1]])
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTH_PX) ** 2)
    smooth = np.stack([np.convolve(long[:, axis], weights / weights.sum(), "valid") for axis in (0, 1)], 1)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(smooth, axis=0).T))])
    at = np.linspace(0, along[-1], int(np.ceil(along[-1])) + 1)
    return np.stack([np.interp(at, along, smooth[:, axis]) for axis in (0, 1)], 1)


def _tangents(points: Points) -> Points:
    steps = np.gradient(points, axis=0)
    return np.asarray(steps / np.maximum(np.hypot(steps[:, :1], steps[:, 1:]), 1e-6), np.float32)


def _length(points: Points) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())
