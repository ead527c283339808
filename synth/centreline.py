"""Re-drawing a long thin defect along another line: bent, longer or shorter, branching, its width and texture kept.

The line is taken as a curve over the defect's long axis (its chord). Moving each cross-section along the chord's normal
keeps every real wiggle and, up to slopes of about 0.4, the width; a stretch along the chord alone leaves it as it is.
"""

from __future__ import annotations

from typing import Any

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
    t = np.minimum(np.maximum(along * np.float32(1 / half_length), -1), 1)
    window = 1 - t * t
    window *= window
    t *= np.float32(4 * half_length * bend[1])
    t += np.float32(2 * half_length * bend[0])
    return np.asarray(t * window, np.float32)


def half_length(donor: Donor, stretch: float) -> float:
    """Half of the re-drawn line's length along its chord, px of the donor."""
    return max(4.0, donor.span_px / 2 * stretch)


def centre_line(donor: Donor) -> tuple[Coordinates, Coordinates]:
    """The defect's own line in the chord's frame, px from the crop's middle: where along (n,), how far across (n,)."""
    height, width = donor.mask.shape
    ys, xs = np.nonzero(donor.mask)
    along, across = turn(xs + 0.5 - width / 2, ys + 0.5 - height / 2, -donor.angle_rad)
    step = np.rint(along - along.min()).astype(int)
    count = np.bincount(step)
    seen = count > 0
    middle = np.bincount(step, across)[seen] / count[seen]
    at = np.nonzero(seen)[0] + along.min()
    edges = np.pad(middle, 2, mode="edge")
    return at.astype(np.float32), np.convolve(edges, np.ones(5) / 5, "valid").astype(np.float32)


def with_branch(
    along: Coordinates, across: Coordinates, donor: Donor, branch: tuple[float, float, float]
) -> tuple[Coordinates, Coordinates]:
    """Let a branch leave the line: pixels nearer to it than to the line come from the donor's own end.

    branch: where it leaves, share of the length; its angle, rad; its length, share of the length.
    """
    at, middle = centre_line(donor)
    span = float(at[-1] - at[0])
    root = at[0] + branch[0] * span
    forward, aside = turn(along - root, across - float(np.interp(root, at, middle)), -branch[1])
    own_along = at[-1] - np.float32(branch[2] * span) + forward
    own_middle = np.interp(own_along, at, middle).astype(np.float32)
    start = np.float32(np.interp(at[-1] - branch[2] * span, at, middle))
    to_branch = np.abs(aside + start - own_middle)  # the donor's end, moved to start at the root
    to_line = np.abs(across - np.interp(along, at, middle).astype(np.float32))
    nearer = (forward > 0) & (to_branch < to_line)
    return np.where(nearer, own_along, along), np.where(nearer, aside + start, across)


def turn(x: Any, y: Any, angle: float) -> tuple[Any, Any]:
    """Rotate by ``angle`` from x towards y (clockwise on the screen)."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos - y * sin, x * sin + y * cos
