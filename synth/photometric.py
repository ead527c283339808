"""Mild changes of brightness, contrast and gamma, seeded, for patch and ground alike.

What albumentations' RandomBrightnessContrast and RandomGamma do, without their cost for each call, which on a small
patch exceeds that of the arithmetic.
"""

from __future__ import annotations

import random

import numpy as np

from synth.records import Levels

CONTRAST, BRIGHTNESS, LIKELY = 0.08, 0.04, 0.7  # at most, shares of contrast and of white; how often
GAMMA, RARELY = 0.07, 0.3  # at most from 1; how often
WHITE = 255


def vary(picture: Levels, background: Levels, seed: int) -> tuple[Levels, Levels]:
    """Return both under one and the same change, so that their difference stays the defect; (h, w, 3) levels."""
    contrast, brightness, gamma = draw_change(seed)
    both = np.empty((2, *picture.shape), np.float32)
    np.multiply(picture, np.float32(contrast), out=both[0])
    np.multiply(background, np.float32(contrast), out=both[1])
    both += np.float32(brightness * WHITE)
    np.clip(both, 0, WHITE, out=both)
    if gamma != 1:  # a power by exp and log, which numpy computes eight at a time
        both *= np.float32(1 / WHITE)
        np.maximum(both, np.float32(1e-6), out=both)
        np.log(both, out=both)
        both *= np.float32(gamma)
        np.exp(both, out=both)
        both *= np.float32(WHITE)
    return both[0], both[1]


def draw_change(seed: int) -> tuple[float, float, float]:
    """Return the factor on the levels, what is added as a share of white, and the exponent; 1, 0, 1: no change."""
    draw = random.Random(seed).random  # a tenth of the cost of numpy's generator, which is made for many numbers
    linear, power, contrast, brightness, gamma = draw(), draw(), draw(), draw(), draw()
    factor, lift = (1 + CONTRAST * (2 * contrast - 1), BRIGHTNESS * (2 * brightness - 1)) if linear < LIKELY else (1, 0)
    return factor, lift, 1 + GAMMA * (2 * gamma - 1) if power < RARELY else 1.0
