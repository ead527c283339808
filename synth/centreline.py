"""Re-drawing a long thin defect along another line: bent, longer or shorter, its width and its texture kept.

The line is taken as a curve over the defect's long axis (its chord). Moving each cross-section along the chord's normal
keeps every real wiggle and, up to slopes of about 0.4, the width; a stretch along the chord alone leaves it as it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synth.records import Donor

LONG = 3.5  # elongation from which a defect is a line
Coordinates = npt.NDArray[np.float32]


def is_line(donor: Donor) -> bool:
    return donor.elongation >= LONG


def bend_offset(along: Coordinates, half_length: float, bend: tuple[float, float]) -> Coordinates:
    """How far the line moves along its normal, px. along: px from the middle, any shape.

    bend: shares of the length: an arc, and an S. Both end flat, so that nothing kinks where the defect ends.
    """
    t = np.clip(along / half_length, -1, 1)
    window = (1 - t * t) ** 2
    return np.asarray(2 * half_length * window * (bend[0] + 2 * bend[1] * t), np.float32)


def half_length(donor: Donor, stretch: float) -> float:
    """Half of the re-drawn line's length along its chord, px of the donor."""
    ys, xs = np.nonzero(donor.mask)
    along = xs * np.cos(donor.angle_rad) + ys * np.sin(donor.angle_rad)
    return float(max(4.0, (np.ptp(along) + 1) / 2 * stretch))
