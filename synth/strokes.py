"""Lines of varying width and strength, smooth at sub-pixel level, and the curves that they follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synth.noise import Field

Points = npt.NDArray[np.float64]  # (n, 2) y, x in pixels

STEP_PX = 0.5  # between samples along a line: nearer adds cost, farther lets single dots show


def resample(control: npt.ArrayLike, *, smooth: bool) -> Points:
    """Return points about every ``STEP_PX`` along control points (n, 2); smooth: in a curve, else straight."""
    points = np.asarray(control, np.float64).reshape(-1, 2)
    along = np.append(0.0, np.cumsum(np.maximum(np.hypot(*np.diff(points, axis=0).T), 1e-3)))
    n = max(2, int(np.ceil(along[-1] / STEP_PX)) + 1)
    at = np.linspace(0, along[-1], n)
    if smooth and len(points) > 2:
        return _catmull_rom(points, np.interp(at, along, np.arange(len(points))))
    return np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1)


def _catmull_rom(points: Points, at: npt.NDArray[np.float64]) -> Points:
    """Return the curve through points (n, 2) at positions 0..n-1 (Catmull & Rom 1974), which stays near them."""
    ends = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    piece = np.minimum(at.astype(np.intp), len(points) - 2)
    t = (at - piece)[:, None]
    p0, p1, p2, p3 = (ends[piece + i] for i in range(4))
    return np.asarray(
        p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))), np.float64
    )


def normals(points: Points) -> Points:
    """Return unit vectors (n, 2) to the left of the line at each point."""
    slope = np.gradient(points, axis=0)
    slope /= np.maximum(np.hypot(*slope.T), 1e-9)[:, None]
    return np.stack([slope[:, 1], -slope[:, 0]], axis=1)


def paint(shape: tuple[int, int], points: Points, widths: npt.ArrayLike, values: npt.ArrayLike) -> Field:
    """Return (h, w): the largest ``value * covered share`` over the points of a line; 0 where there is none.

    widths (n,) in pixels, values (n,) >= 0. A line thinner than a pixel covers only that share of it.
    """
    width, value = np.broadcast_to(widths, len(points)), np.broadcast_to(values, len(points))
    reach = int(np.ceil(width.max() / 2 + 0.5)) + 1
    span = np.arange(-reach, reach + 1)
    whole = np.floor(points).astype(np.intp)
    rows = whole[:, 0, None] + span  # (n, s)
    columns = whole[:, 1, None] + span
    dy, dx = rows - points[:, 0, None], columns - points[:, 1, None]
    distance = np.sqrt(dy[:, :, None] ** 2 + dx[:, None, :] ** 2).astype(np.float32)  # (n, s, s)
    half = (np.maximum(width, 1.0) / 2 + 0.5).astype(np.float32)[:, None, None]
    strength = (value * np.minimum(width, 1.0)).astype(np.float32)[:, None, None]
    covered = np.clip(half - distance, 0, 1) * strength
    inside = ((rows >= 0) & (rows < shape[0]))[:, :, None] & ((columns >= 0) & (columns < shape[1]))[:, None, :]
    inside &= covered > 0
    flat = (rows[:, :, None] * shape[1] + columns[:, None, :])[inside]
    out = np.zeros(shape[0] * shape[1], np.float32)
    np.maximum.at(out, flat, covered[inside])
    return out.reshape(shape)


def taper(n: int, ends: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return (n,) factors 0..1 that rise over the first and fall over the last share of a line."""
    t = np.linspace(0, 1, n)
    rise = np.clip(t / max(ends[0], 1e-6), 0, 1)
    fall = np.clip((1 - t) / max(ends[1], 1e-6), 0, 1)
    return np.sqrt(np.minimum(rise, fall))
