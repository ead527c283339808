"""Rules on size and shape, against the real defects of the class."""

from __future__ import annotations

import cv2
import numpy as np

from synth.gates.registry import Case, rule
from synth.records import Mask


@rule("area", reason="its area is not one of this class", limits=lambda limits: limits.area)
def area_px(case: Case) -> float:
    """Return the mask's area in pixels."""
    return float(case.mask.sum())


@rule("aspect", reason="it is longer or rounder than this class", limits=lambda limits: limits.aspect)
def case_elongation(case: Case) -> float:
    """Return long axis / short axis of the mask."""
    return elongation(case.mask)


def elongation(mask: Mask) -> float:
    """Return long axis / short axis by second moments, 1 = round; whatever the rotation."""
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    area = moments["m00"]
    if area == 0:
        return float("nan")
    xx, yy, xy = (moments[key] / area for key in ("mu20", "mu02", "mu11"))
    xx, yy = xx + 1 / 12, yy + 1 / 12  # a pixel is a square, not a point
    root = np.hypot((xx - yy) / 2, xy)
    middle = (xx + yy) / 2
    return float(np.sqrt((middle + root) / max(middle - root, 1e-9)))
