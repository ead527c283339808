"""Rules against the traces of pasting: an edge that real defects do not have, and the outline of a cut-out."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from synth.gates.registry import Case, grey_of, rule
from synth.gates.sight import contrast_of
from synth.records import Donor, Image, Levels, Mask

RING_PX = 2  # outwards from the outline
LEAST_BOX_PX = 8  # a smaller box is no cut-out but a few pixels
Grey = npt.NDArray[np.float32]


@rule(
    "seam",
    reason="its outline is sharper than that of real ones, against its contrast",
    limits=lambda limits: limits.seam,
)
def case_seam(case: Case) -> float:
    """Return the gradient that the outline adds to the host's, as a share of contrast."""
    ring = outline_ring(case.mask)
    host = float(gradient(case.ground)[ring].mean())
    return sharpness(gradient(case.picture)[ring], host, contrast_of(case.change, case.mask))


@rule("cut-out", reason="its outline is a box, as of a pasted cut-out", limits=lambda limits: (None, limits.boxy))
def case_boxy(case: Case) -> float:
    """Return the share of its tightest rectangle that the mask fills."""
    return boxiness(case.mask)


def donor_seam(donor: Donor) -> float:
    """Return the same measure for a real defect; its own rim stands for the host."""
    ring, slopes = outline_ring(donor.mask), gradient(donor.picture)
    rim = ~cv2.dilate(donor.mask.view(np.uint8), np.ones((7, 7), np.uint8)).view(bool)
    host = float(slopes[rim].mean()) if rim.any() else float(gradient(donor.background)[ring].mean())
    change = grey_of(np.abs(donor.residual))
    return sharpness(slopes[ring], host, contrast_of(change, donor.mask))


def sharpness(ring: Grey, host: float, contrast: float) -> float:
    """Return (mean gradient in the ring - the host's) / (contrast + the host's); 0 soft, .5 cut by knife."""
    return (float(ring.mean()) - host) / (contrast + host + 1.0) if ring.size else 0.0


def outline_ring(mask: Mask) -> Mask:
    """Return (h, w): the mask's outermost pixels and ``RING_PX`` outwards."""
    seen = mask.view(np.uint8)
    wide = cv2.dilate(seen, np.ones((2 * RING_PX + 1,) * 2, np.uint8))
    return np.asarray((wide - cv2.erode(seen, np.ones((3, 3), np.uint8))) > 0)


def gradient(picture: Image | Levels) -> Grey:
    """Return (h, w): grey levels per pixel."""
    grey = grey_of(picture)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    # Not cv2.magnitude: its last bit depends on where in memory a row begins, and sets must repeat to the byte.
    return np.asarray(np.sqrt(across * across + down * down))


def boxiness(mask: Mask) -> float:
    """Return area / area of the tightest rectangle, however turned, of the largest part; 0 where that is too small."""
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return 0.0
    outline = max(outlines, key=cv2.contourArea)
    sides = np.asarray(cv2.minAreaRect(outline)[1]) + 1
    if sides.min() < LEAST_BOX_PX:
        return 0.0
    filled = cv2.contourArea(outline) + len(outline) / 2 + 1  # Pick: the contour runs through pixel centres
    return float(min(1.0, filled / sides.prod()))
