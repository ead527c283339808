"""The surface as it would look without the defect, so that picture - background keeps only the defect.

A robust plane takes the shading, a membrane (harmonic filling) what the plane leaves; neither invents grain, so the
defect's own grain stays in the residual and grain.py deals with it.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import splu

from synth.levels import grey, peak, rough_median
from synth.records import Image, Levels, Mask

MARGIN_PX = 2  # beyond the mask that still counts as defect: annotators draw tight
GRAIN_PX = 1.5  # sigma that hides grain from the membrane's rim
MOST_UNKNOWNS = 6_000  # a larger hole is filled at a lower resolution: a membrane is smooth anyway
STEP = 6.0  # times the median of what blurring changes: no grain, but an edge
STEP_LEVELS = 4.0  # between two rows or columns, the median around the hole, from which their tie gives way
AROUND_PX = 10  # of the hole, where steps are looked for
LEAST_ROW = 6  # pixels of a row that must be known to tell a step from grain
ROUNDS = 3  # of down-weighting what lies off the plane


def fill_background(picture: Image | Levels, mask: Mask, margin: int = MARGIN_PX) -> Levels:
    """Return the picture with everything within ``margin`` px of the mask filled from around it, (h, w, 3) levels.

    Outside of that the picture is returned as it is. A hole that reaches the image's edge ends there freely.
    """
    levels = picture.astype(np.float32)
    hole = grow(mask, margin)
    if not hole.any():
        return levels
    known = ~hole
    if not known.any():
        return np.broadcast_to(np.median(levels, axis=(0, 1)), levels.shape).astype(np.float32)
    plane = fit_plane(levels, known)
    rest = smooth_known(levels - plane, known)
    filled = plane + fill_membrane(rest, hole)
    return np.where(hole[:, :, None], filled, levels).astype(np.float32)


def grow(mask: Mask, px: int) -> Mask:
    """Dilate by ``px`` pixels, square corners."""
    if px <= 0:
        return mask
    return np.asarray(cv2.dilate(mask.view(np.uint8), square(px)).view(np.bool_))


@lru_cache(maxsize=16)
def square(px: int) -> npt.NDArray[np.uint8]:
    return np.ones((2 * px + 1, 2 * px + 1), np.uint8)


def fit_plane(levels: Levels, known: Mask) -> Levels:
    """Fit a + b x + c y per channel to the known pixels, deaf to outliers; (h, w, 3)."""
    height, width = known.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], -1)
    step = max(1, int(np.sqrt(known.sum() / 4000)))
    few = known[::step, ::step]
    rows, seen = terms[::step, ::step][few], levels[::step, ::step][few]
    if len(rows) < 12:
        return np.broadcast_to(levels[known].mean(0), levels.shape).astype(np.float32)
    plane = np.empty_like(levels)
    for channel in range(levels.shape[2]):
        plane[:, :, channel] = terms @ fit_robust(rows, seen[:, channel])
    return plane


def fit_robust(rows: npt.NDArray[np.float32], seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    weight = np.ones_like(seen)
    ridge = 1e-3 * np.eye(rows.shape[1], dtype=np.float32) * len(rows)
    ridge[0, 0] = 0
    terms = np.zeros(rows.shape[1], np.float32)
    for _ in range(ROUNDS):
        weighted = rows * weight[:, None]
        terms = np.linalg.solve(weighted.T @ rows + ridge, weighted.T @ seen)
        off = np.abs(seen - rows @ terms)
        weight = 1 / (1 + (off / (2.5 * np.median(off) + 1e-3)) ** 2)  # Cauchy
    return terms


def smooth_known(levels: Levels, known: Mask) -> Levels:
    """Blur the known pixels only, so that nothing of the hole leaks out.

    Steps stay: the part's edge beside a defect, blurred, would leave a bright and a dark bar in what the defect adds.
    """
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(levels * weight[:, :, None], (0, 0), GRAIN_PX)
    share = cv2.GaussianBlur(weight, (0, 0), GRAIN_PX)
    smooth = np.asarray(total / np.maximum(share, 1e-4)[:, :, None], np.float32)
    off = peak(np.abs(levels - smooth))
    edge = known & (off > STEP * rough_median(off[known]) + 1)
    return np.where(edge[:, :, None], levels, smooth)


def fill_membrane(levels: Levels, hole: Mask) -> Levels:
    """Fill the hole with the harmonic function that meets its rim; free ends at the image's edge. (h, w, 3)."""
    factor = int(np.ceil(np.sqrt(hole.sum() / MOST_UNKNOWNS)))
    if factor <= 1:
        return solve_membrane(levels, hole)
    height, width = hole.shape
    size = (max(2, width // factor), max(2, height // factor))
    known = (~hole).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(levels * known[:, :, None], size, interpolation=cv2.INTER_AREA)
    coarse /= np.maximum(share, 1e-4)[:, :, None]
    small_hole = share < 0.5
    if small_hole.all():
        return levels
    filled = cv2.resize(solve_membrane(coarse, small_hole), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(hole[:, :, None], filled, levels).astype(np.float32)


def solve_membrane(levels: Levels, hole: Mask) -> Levels:
    matrix, rim = membrane_system(hole, levels)
    solved = splu(matrix.tocsc()).solve(rim.astype(np.float64))
    out = levels.copy()
    out[hole] = solved
    return out


def axis_links(levels: Levels, hole: Mask, axis: int) -> npt.NDArray[np.float32]:
    """How firmly a row (axis 0) or column is tied to the next, (h,) or (w,), 0..1: loosely where all around the hole
    there is a step between them, so that the part's edge goes on below a defect that ends there."""
    brightness = grey(levels) if axis == 0 else grey(levels).T
    open_ = ~hole & grow(hole, AROUND_PX) if axis == 0 else (~hole & grow(hole, AROUND_PX)).T
    both = open_[:-1] & open_[1:]
    steps = brightness[1:] - brightness[:-1]
    ties = np.ones(len(brightness), np.float32)
    for at in np.flatnonzero(both.sum(1) >= LEAST_ROW):
        ties[at] = 1 / (1 + (float(np.median(steps[at][both[at]])) / STEP_LEVELS) ** 2)
    return ties


def membrane_system(hole: Mask, levels: Levels) -> tuple[csr_matrix, npt.NDArray[np.float32]]:
    """Graph Laplacian of the hole's pixels (u, u) and what the known neighbours pull (u, channels)."""
    height, width = hole.shape
    down, across = (axis_links(levels, hole, axis) for axis in (0, 1))
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    ys, xs = np.nonzero(hole)
    me = number[ys, xs]
    degree = np.zeros(len(me))
    pull = np.zeros((len(me), levels.shape[2]), np.float32)
    rows, cols, ties = [], [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = ys + dy, xs + dx
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        tie = down[np.minimum(ys, y)[inside]] if dy else across[np.minimum(xs, x)[inside]]
        degree[inside] += tie
        other = number[y[inside], x[inside]]
        unknown = other >= 0
        ties.append(-tie[unknown])
        rows.append(me[inside][unknown])
        cols.append(other[unknown])
        pull[me[inside][~unknown]] += tie[~unknown, None] * levels[y[inside][~unknown], x[inside][~unknown]]
    row, col = np.concatenate(rows), np.concatenate(cols)
    links = coo_matrix((np.concatenate(ties), (row, col)), shape=(len(me), len(me)))
    diagonal = coo_matrix((degree + 1e-9, (me, me)), shape=(len(me), len(me)))  # 1e-9: a hole with no rim at all
    return csr_matrix(links + diagonal), pull
