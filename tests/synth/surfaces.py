"""Made-up surfaces for the tests of synth: smooth, brushed and grainy."""

from __future__ import annotations

import cv2
import numpy as np

from synth.noise import noise_field
from synth.records import Image, Levels


def smooth(level: float = 150, side: int = 160) -> Levels:
    """Return an even surface with a little sensor noise, (side, side, 3)."""
    grey = level + 2 * noise_field(11, (side, side), grade="grain")
    return np.asarray(np.repeat(grey[..., None], 3, axis=2), np.float32)


def brushed(level: float = 120, side: int = 160) -> Levels:
    lines = cv2.blur(noise_field(12, (side, side), grade="grain"), (31, 1))
    grey = level + 9 * lines / lines.std()
    return np.asarray(np.repeat(grey[..., None], 3, axis=2), np.float32)


def leather(side: int = 160) -> Levels:
    grey = 120 + 9 * noise_field(13, (side, side)) + 6 * noise_field(14, (side, side), grade="grain")
    return np.asarray(grey[..., None] * np.array([1.2, 0.8, 0.7], np.float32), np.float32)


def to_image(levels: Levels) -> Image:
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)
