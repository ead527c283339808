"""What a recipe has to know of the surface it draws on, and how its drawing becomes a patch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from synth.noise import Field
from synth.records import Levels, Patch

EDGE_PX = 3  # over which a drawing fades out at the patch's edge, so that no recipe can leave a seam there
LEAST_LEVELS = 8.0  # an eye misses less on a screen, and a mask threshold of 2..3 levels would leave holes
SHOWN = 0.22  # share of the full contrast from which a pixel counts as defect; half of an antialiased edge is below it


@dataclass(frozen=True)
class Tone:
    """level: median grey level. grain: deviation of the texture finer than 8 px. grey: channels are equal."""

    level: float
    grain: float
    grey: bool


def measure(ground: Levels) -> Tone:
    """Measure a surface (h, w, 3); a large one by every n-th pixel of its level, and its middle's texture."""
    h, w = ground.shape[:2]
    middle = ground[max(0, h // 2 - 96) : h // 2 + 96, max(0, w // 2 - 96) : w // 2 + 96]
    grey = cv2.cvtColor(np.ascontiguousarray(middle, np.float32), cv2.COLOR_RGB2GRAY)
    fine = grey - cv2.blur(grey, (17, 17))
    every = ground[:: max(1, h // 64), :: max(1, w // 64)]
    coloured = float(np.abs(every[..., 0] - every[..., 2]).mean()) > 1.0
    return Tone(float(np.median(every)), float(cv2.meanStdDev(fine)[1][0, 0]), not coloured)


def mean_level(ground: Levels) -> float:
    """Return the mean grey level of a patch (h, w, 3)."""
    return float(sum(cv2.mean(ground)[:3]) / 3)


def draw_contrast(
    rng: np.random.Generator, tone: Tone, depth: tuple[float, float], over_grain: tuple[float, float], bright: float
) -> float:
    """Draw the grey levels that a defect adds; negative = darker. Flips where there is no room that way.

    depth: of the surface's level, 0..1. over_grain: at least that many deviations of its texture. bright: odds 0..1.
    """
    sign = 1.0 if rng.random() < bright else -1.0
    amount = max(rng.uniform(*depth) * max(tone.level, 64.0), rng.uniform(*over_grain) * tone.grain, LEAST_LEVELS)
    room = {1.0: 250.0 - tone.level, -1.0: tone.level - 5.0}
    if room[sign] < LEAST_LEVELS * 2:
        sign = -sign
    return float(sign * min(amount, max(room[sign], LEAST_LEVELS)))


def add(ground: Levels, change: Field, level: float) -> Levels:
    """Return the ground, darker or brighter by ``change`` (h, w) levels.

    Darker multiplies, as less light falls on the same texture; brighter adds, as a gleam lies above it.
    """
    gain = np.maximum(1 + np.minimum(change, 0) / np.float32(max(level, 16.0)), np.float32(0.02))
    out = ground * gain[..., None]
    out += np.maximum(change, 0)[..., None]
    return np.asarray(out, np.float32)


def to_patch(ground: Levels, picture: Levels, contrast: float) -> Patch:
    """Fade the drawing out at the edge, clip it to 0..255, and mark as mask what shows of ``contrast`` levels."""
    h, w = ground.shape[:2]
    fade_y = np.clip(np.minimum(np.arange(h), np.arange(h)[::-1]) / EDGE_PX, 0, 1)
    fade_x = np.clip(np.minimum(np.arange(w), np.arange(w)[::-1]) / EDGE_PX, 0, 1)
    fade = np.minimum(fade_y[:, None], fade_x[None, :]).astype(np.float32)
    change = np.clip(ground + (picture - ground) * fade[..., None], 0, 255) - ground
    shown = np.abs(change).max(axis=2) >= max(3.0, SHOWN * abs(contrast))
    closed = cv2.morphologyEx(shown.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    closed[0], closed[-1], closed[:, 0], closed[:, -1] = 0, 0, 0, 0
    return Patch(np.asarray(ground + change, np.float32), ground, closed.astype(bool))
