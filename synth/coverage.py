"""Where a defect hides the surface below it, and taking the donor's own ground out of what it adds.

A residual holds the defect and, all over its mask, the texture of the donor's ground. Pasted as it is, that texture
comes on top of the host's; pasted in the host's place, it leaves a patch of foreign ground around every thin crack.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from synth.grain import drop_grain
from synth.levels import grey, peak, rough_median
from synth.records import Levels, Mask

COARSE_PX = 9  # side of the box blur that parts texture from shading
AREA_PX = 9  # side of the window in which the defect is told from texture
HIDES = (1.5, 4.0)  # times the ground's own deviation: below, the host shows; above, it is hidden
REGION_PX, MOSTLY = 15, (0.4, 0.7)  # side of a neighbourhood; share of it hidden from which all of it is
LEAST_LEVELS = 3.0  # grey levels: on a surface without any texture

Plane = npt.NDArray[np.float32]


def coverage(residual: Levels, texture: float) -> Plane:
    """Return how far the defect hides the host, (h, w) 0..1: 0 where it does not exceed the ground's own texture.

    Where most of the neighbourhood is hidden all of it is: a broken surface is as bright as the ground here and there.

    texture: deviation of the donor's ground, grey levels. No residual hides nothing, whatever the texture.
    """
    strength = peak(np.abs(cv2.blur(residual, (3, 3), borderType=cv2.BORDER_REPLICATE)))
    low, high = (share * max(texture, LEAST_LEVELS / HIDES[0]) for share in HIDES)
    t = np.clip((strength - np.float32(low)) / np.float32(high - low), 0, 1)
    own = t * t * (3 - 2 * t)
    region = cv2.blur(own, (REGION_PX, REGION_PX), borderType=cv2.BORDER_REPLICATE)
    inside = np.clip((region - MOSTLY[0]) / (MOSTLY[1] - MOSTLY[0]), 0, 1)
    return np.asarray(np.maximum(own, inside), np.float32)


def own_texture(levels: Levels) -> Levels:
    """What is finer than shading, (h, w, 3)."""
    side = (COARSE_PX, COARSE_PX)
    return np.asarray(levels - cv2.blur(levels, side, borderType=cv2.BORDER_REPLICATE), np.float32)


def measure_texture(levels: Levels, ground: Mask) -> float:
    """Return the deviation of the ground's detail coarser than grain, grey levels, deaf to edges; 0 without ground."""
    if ground.sum() < 30:
        return 0.0
    side, weight = (COARSE_PX, COARSE_PX), ground.astype(np.float32)
    values = cv2.blur(grey(levels), (3, 3), borderType=cv2.BORDER_REPLICATE)
    around = cv2.blur(values * weight, side) / np.maximum(cv2.blur(weight, side), 1e-3)
    return rough_median(np.abs(values - around)[ground]) * 1.4826


def drop_texture(residual: Levels, grain: float, texture: float) -> Levels:
    """Take the donor's grain and coarser texture out of a residual; detail that exceeds them stays (Wiener)."""
    clean = drop_grain(residual, grain)
    if texture <= 0:
        return clean
    smooth = cv2.blur(clean, (3, 3), borderType=cv2.BORDER_REPLICATE)
    coarse = smooth - cv2.blur(smooth, (COARSE_PX, COARSE_PX), borderType=cv2.BORDER_REPLICATE)
    energy = cv2.blur(grey(coarse * coarse), (AREA_PX, AREA_PX), borderType=cv2.BORDER_REPLICATE)
    keep = np.maximum(0, 1 - texture * texture / np.maximum(energy, 1e-6)).astype(np.float32)
    return np.asarray(clean - (1 - keep)[:, :, None] * coarse, np.float32)
