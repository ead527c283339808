"""The label from the result: where the variant visibly differs from its host, and nowhere it was not meant to."""

from __future__ import annotations

import cv2
import numpy as np

from synth.background import grow
from synth.records import Levels, Mask

LEAST_LEVELS = 3.0  # a smaller difference nobody sees on any ground
GRAIN_SHARE = 1.0  # of the host's own grain, after 3 x 3 smoothing that a third of the grain survives
NEAR_PX = 4  # a label may exceed the meant mask by this much: the feather
CLOSE_PX = 3
LEAST_PX = 4


def visible_mask(variant: Levels, host: Levels, meant: Mask, grain: float) -> Mask:
    """Return where |variant - host| exceeds what the host's own grain (its standard deviation) would hide, (h, w).

    Holes are filled and specks dropped; pixels further than ``NEAR_PX`` from the meant mask never count.
    """
    off = np.abs(cv2.blur(variant - host, (3, 3))).max(2)
    threshold = max(LEAST_LEVELS, GRAIN_SHARE * grain)
    seen = ((off > threshold) & grow(meant, NEAR_PX)).astype(np.uint8)
    if not seen.any():
        return np.zeros_like(meant)
    closed = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
    return drop_specks(closed, meant)


def drop_specks(seen: np.ndarray, meant: Mask) -> Mask:
    n, labels, stats, _ = cv2.connectedComponentsWithStats(seen, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= max(LEAST_PX, 0.02 * areas[1:].max())
    keep[0] = False
    meets = np.zeros(n, bool)
    meets[np.unique(labels[meant])] = True
    return np.asarray((keep & meets)[labels])
