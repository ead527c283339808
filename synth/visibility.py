"""The label from the result: where the variant visibly differs from its host, and nowhere it was not meant to."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from synth.background import grow
from synth.levels import peak
from synth.records import Levels, Mask

LEAST_LEVELS = 3.0  # a smaller difference nobody sees on any ground
GRAIN_SHARE = 1.0  # of the host's own grain; the difference is smoothed first
TEXTURE_SHARE = 1.6  # the same for |difference|, which two independent grains alone bring to 1.13
EDGE_SHARE = 0.3  # of the defect's own strength, outside of the meant mask: no annotator draws around a soft skirt
NEAR_PX = 4  # a label may exceed the meant mask by this much: the feather
CLOSE_PX = 3
LEAST_PX = 4


def visible_mask(variant: Levels, host: Levels, meant: Mask, grain: float) -> Mask:
    """Return where |variant - host| exceeds what the host's own grain (its standard deviation) would hide, (h, w).

    Within the meant mask a change of texture counts too, and holes are filled; specks are dropped; pixels further than
    ``NEAR_PX`` from the meant mask never count.
    """
    change = variant - host
    off = peak(np.abs(cv2.GaussianBlur(change, (3, 3), 0.7)))
    strength = upper_fifth(off[meant])
    threshold = max(LEAST_LEVELS, GRAIN_SHARE * grain)
    seen = ((off > threshold) & meant) | ((off > max(threshold, EDGE_SHARE * strength)) & grow(meant, NEAR_PX))
    side = int(min(max(np.count_nonzero(meant) ** 0.5 / 6, 1), 15)) | 1
    if side > 1:  # a defect that is texture: its change averaged over a patch of it
        texture = cv2.blur(peak(np.abs(change)), (side, side))
        seen |= meant & (texture > max(LEAST_LEVELS, TEXTURE_SHARE * grain))
    if not seen.any():
        return np.zeros_like(meant)
    closed = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(closed), outlines, -1, 1, cv2.FILLED)
    return drop_specks(closed | (filled & meant), meant)


def upper_fifth(values: npt.NDArray[np.float32]) -> float:
    """The value that a fifth of them exceed; 0 for none."""
    return (
        float(np.partition(values, int(0.8 * (len(values) - 1)))[int(0.8 * (len(values) - 1))]) if len(values) else 0.0
    )


def drop_specks(seen: npt.NDArray[np.uint8], meant: Mask) -> Mask:
    n, labels = cv2.connectedComponents(seen, connectivity=8)
    if n == 2:  # one piece, as nearly always
        stays = np.count_nonzero(seen) >= LEAST_PX and bool((seen.view(np.bool_) & meant).any())
        return seen.view(np.bool_) if stays else np.zeros_like(meant)
    keep = np.bincount(labels.ravel(), minlength=n) >= LEAST_PX
    keep[0] = False
    meets = np.zeros(n, bool)
    meets[labels[meant]] = True
    return np.asarray((keep & meets).take(labels))
