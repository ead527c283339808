"""Random walks that lines follow, and the patch that just holds them. Every random choice of a curve is made here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from synth.errors import SynthError
from synth.strokes import Points

LEAST_PX = 12  # the smallest side of a patch: a defect and its rim


def short_side(size: tuple[int, int]) -> float:
    """Return the short side of an image, to which lengths are related.

    Raises:
        SynthError: the image is smaller than a patch.
    """
    if min(size) < 2 * LEAST_PX:
        raise SynthError("too small to draw a defect on", found=f"{size[0]}x{size[1]}",
                         expected=f"{2 * LEAST_PX} pixels or more a side")  # fmt: skip
    return float(min(size))


def walk(rng: np.random.Generator, length_px: float, heading_rad: float, *, steps: int, turn: float) -> Points:
    """Return (steps + 1, 2) points of a line: it turns one way, ``turn`` radians in all, with small kinks."""
    bends = rng.normal(rng.choice([-1, 1]) * turn / steps, turn / steps * 0.6 + 0.01, steps)
    headings = heading_rad + np.cumsum(bends)
    lengths = length_px / steps * rng.uniform(0.6, 1.4, steps)
    moves = np.stack([np.sin(headings), np.cos(headings)], axis=1) * lengths[:, None]
    return np.vstack([np.zeros((1, 2)), np.cumsum(moves, axis=0)])


def jagged(rng: np.random.Generator, length_px: float, heading_rad: float, *, step_px: float, kink: float) -> Points:
    """Return points of a line that breaks its way: short straight pieces, mostly onwards, at times a sharp kink."""
    steps = max(3, int(length_px / step_px))
    kinks = rng.normal(0, kink, steps) + rng.choice([0, 0, 0, 1], steps) * rng.normal(0, 2 * kink, steps)
    headings = heading_rad + np.cumsum(rng.normal(0, 0.12 * kink, steps)) + kinks
    moves = np.stack([np.sin(headings), np.cos(headings)], axis=1) * (step_px * rng.uniform(0.5, 1.5, steps))[:, None]
    return np.vstack([np.zeros((1, 2)), np.cumsum(moves, axis=0)])


def fit(lines: Sequence[npt.NDArray[np.float64]], *, margin: float,
        limit: tuple[int, int]) -> tuple[list[Points], list[int]]:  # fmt: skip
    """Move lines so that a patch [h, w] with this margin holds them; shrink them where it would exceed the limit."""
    every = np.vstack(lines)
    low, extent = every.min(axis=0), np.ptp(every, axis=0)
    room = np.maximum(np.asarray(limit, np.float64) - 2 * margin - 1, 2.0)
    factor = float(min(1.0, (room / np.maximum(extent, 1e-6)).min()))
    size = [int(min(most, max(LEAST_PX, np.ceil(side * factor + 2 * margin)))) for side, most in
            zip(extent, limit, strict=True)]  # fmt: skip
    shift = (np.asarray(size) - 1 - extent * factor) / 2
    return [(line - low) * factor + shift for line in lines], size
