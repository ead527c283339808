"""A bank of cloud-like tiles, made once: a sample is a crop of one of them, never a new noise field."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]  # (h, w)
Grade = Literal["cloud", "mottle", "grain"]

TILE_PX = 256
N_TILES = 8
# Amplitude falls as 1 / frequency**power: 2 looks like clouds (fBm), 1 like mottled paint, .25 like film grain.
POWER: dict[Grade, float] = {"cloud": 2.0, "mottle": 1.1, "grain": 0.25}
# Waves longer than this many pixels are left out, so that a crop of the tile has a mean near 0 too.
LONGEST_PX: dict[Grade, float] = {"cloud": 96.0, "mottle": 48.0, "grain": 16.0}


@lru_cache(maxsize=64)
def noise_tile(grade: Grade, number: int) -> Field:
    """Return tile ``number`` 0..N_TILES-1: (256, 256), periodic, mean 0, standard deviation 1. Made on first use."""
    rng = np.random.Generator(np.random.PCG64([TILE_PX, number, int(POWER[grade] * 100)]))
    y, x = np.meshgrid(np.fft.fftfreq(TILE_PX), np.fft.rfftfreq(TILE_PX), indexing="ij")
    frequency = np.hypot(y, x)
    keep = frequency >= 1 / LONGEST_PX[grade]
    gain = np.where(keep, np.maximum(frequency, 1e-6) ** -POWER[grade], 0.0)
    tile = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE_PX, TILE_PX))) * gain, s=(TILE_PX, TILE_PX))
    unit: Field = (tile / tile.std()).astype(np.float32)
    unit.setflags(write=False)
    return unit


def noise_field(seed: int, shape: tuple[int, int], *, grade: Grade = "cloud", zoom: float = 1.0) -> Field:
    """Return (h, w) noise, mean about 0 and deviation about 1; the same seed gives the same bytes.

    zoom: above 1 makes the clouds larger. The seed picks tile, corner, transposition and sign.
    """
    seed, number = divmod(int(seed), N_TILES)
    seed, top = divmod(seed, TILE_PX)
    seed, left = divmod(seed, TILE_PX)
    tile = noise_tile(grade, number)
    tile = tile.T if seed & 1 else tile
    height, width = (max(2, int(np.ceil(side / zoom)) + 1) for side in shape)
    rows = (top + np.arange(height)) % TILE_PX
    columns = (left + np.arange(width)) % TILE_PX
    crop = tile[rows[:, None], columns[None, :]]
    if zoom != 1.0:
        crop = cv2.resize(crop, (int(np.ceil(width * zoom)), int(np.ceil(height * zoom))),
                          interpolation=cv2.INTER_CUBIC)  # fmt: skip
    crop = crop[: shape[0], : shape[1]]
    return np.ascontiguousarray(-crop if seed & 2 else crop, np.float32)


def noise_line(seed: int, n: int, *, grade: Grade = "cloud", stretch: float = 1.0) -> Field:
    """Return (n,) noise along a line, ``stretch`` samples a step of the tile; the same seed gives the same bytes."""
    seed, number = divmod(int(seed), N_TILES)
    seed, row = divmod(seed, TILE_PX)
    _, start = divmod(seed, TILE_PX)
    at = (start + np.arange(n) / stretch) % TILE_PX
    values = noise_tile(grade, number)[row]
    return np.asarray(np.interp(at, np.arange(TILE_PX + 1), np.append(values, values[0])), np.float32)
