"""Rules on what can be seen: contrast as real ones have, and no change outside of the label."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from synth.gates.registry import Case, rule
from synth.records import Mask

SKIRT_PX = 4  # beyond the mask where the soft skirt of a defect may end
SEEN_LEVELS = 6.0  # a change outside of the mask that an annotator would have drawn around


@rule("contrast", reason="fainter or stronger than real ones", limits=lambda limits: limits.contrast)
def case_contrast(case: Case) -> float:
    """Return the strength of |variant - host| inside the mask, grey levels."""
    return contrast_of(case.change, case.mask)


@rule(
    "elsewhere",
    reason="the picture changed where no label is, as a share of it",
    limits=lambda limits: (None, limits.elsewhere),
)
def changed_elsewhere(case: Case) -> float:
    """Return the pixels that changed beyond the mask's skirt, as a share of the mask's area."""
    area = int(case.mask.sum())
    near = cv2.dilate(case.mask.view(np.uint8), np.ones((2 * SKIRT_PX + 1,) * 2, np.uint8)).view(bool)
    level = max(SEEN_LEVELS, 0.3 * contrast_of(case.change, case.mask))
    return float(((case.change > level) & ~near).sum() / max(area, 1))


def contrast_of(change: npt.NDArray[np.float32], mask: Mask) -> float:
    """Return the 80 % quantile of |change| (h, w) inside a mask; 0 for an empty one.

    Not the median: annotators draw around a thin crack what a computed mask leaves out, which would halve it.
    """
    inside = change[mask]
    at = int(0.8 * (inside.size - 1))
    return float(np.partition(inside, at)[at]) if inside.size else 0.0
