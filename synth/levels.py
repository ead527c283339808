"""Small sums over the three channels that numpy's reductions along a short last axis are slow at (about ten times)."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from synth.records import Levels

Plane = npt.NDArray[np.float32]  # (h, w)
_THIRDS = np.full((1, 3), 1 / 3, np.float32)
MOST_VALUES = 2048  # enough for a median


def peak(levels: Levels) -> Plane:
    """Return the largest of the three channels, (h, w)."""
    flat = np.ascontiguousarray(levels).reshape(-1)
    largest = np.maximum(flat[:-2], flat[1:-1])  # of every three neighbours: a third is wanted, in a third of the time
    np.maximum(largest, flat[2:], out=largest)
    return largest[::3].reshape(levels.shape[:2])


def grey(levels: Levels) -> Plane:
    """Return the mean of the three channels, (h, w)."""
    return np.asarray(cv2.transform(levels, _THIRDS))


def spread(plane: Plane) -> Levels:
    """Return the plane in all three channels, (h, w, 3): to multiply by it is quicker than by a broadcast one."""
    return np.asarray(cv2.merge((plane, plane, plane)))


def rough_median(values: npt.NDArray[np.float32]) -> float:
    """Return the median of (n,) values, of every k-th where there are thousands."""
    return middle(values[:: max(1, len(values) // MOST_VALUES)])


def middle(values: npt.NDArray[np.float32]) -> float:
    """Return the upper median of (n,) values, a value of them."""
    at = len(values) // 2
    return float(np.partition(values, at)[at])
