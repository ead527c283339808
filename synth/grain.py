"""Noise and sharpness of a surface, and making the patch's match the host's."""

from __future__ import annotations

import cv2
import numpy as np

from synth.levels import grey, rough_median
from synth.records import Levels, Mask

FINE_PX = 1.0  # sigma that parts grain from what lies below it
AREA_PX = 5  # side of the window in which the patch's own detail is told from grain


def high_pass(levels: Levels) -> Levels:
    """What is finer than about 3 px, (h, w) or (h, w, 3)."""
    return np.asarray(levels - cv2.GaussianBlur(levels, (0, 0), FINE_PX, borderType=cv2.BORDER_REFLECT_101), np.float32)


def measure_grain(levels: Levels, ground: Mask | None = None) -> float:
    """Standard deviation of the fine detail on plain ground, grey levels, deaf to edges (median of |detail|)."""
    fine = np.abs(high_pass(grey(levels)))
    if ground is not None and ground.sum() >= 30:
        fine = fine[ground]
    return rough_median(fine.ravel()) * 1.4826


def drop_grain(residual: Levels, sigma: float) -> Levels:
    """Take the donor's grain out of a residual: the host has its own. Detail that exceeds it stays (Wiener)."""
    fine = high_pass(residual)
    energy = cv2.blur(grey(fine * fine), (AREA_PX, AREA_PX))
    keep = np.maximum(0, 1 - sigma * sigma / np.maximum(energy, 1e-6)).astype(np.float32)
    return np.asarray(residual - (1 - keep)[:, :, None] * fine, np.float32)


def match_grain(picture: Levels, sigma: float, host: Levels, host_sigma: float) -> Levels:
    """Bring the grain of what will replace the host's to the host's: shrink it, or add the host's own, mirrored.

    The host's own detail has the right spectrum, unlike drawn noise; mirrored, it does not repeat its neighbour.
    """
    if host_sigma < 0.8 * sigma:
        fine = high_pass(picture)
        energy = cv2.blur(grey(fine * fine), (AREA_PX, AREA_PX))
        surplus = sigma * sigma - host_sigma * host_sigma
        keep = np.sqrt(np.maximum(0, 1 - surplus / np.maximum(energy, 1e-6))).astype(np.float32)
        return np.asarray(picture - (1 - keep)[:, :, None] * fine, np.float32)
    if host_sigma > 1.25 * sigma:
        share = np.float32(np.sqrt(1 - (sigma / host_sigma) ** 2))
        own = np.clip(high_pass(host)[::-1, ::-1], -3 * host_sigma, 3 * host_sigma)
        return np.asarray(picture + share * own, np.float32)
    return picture
