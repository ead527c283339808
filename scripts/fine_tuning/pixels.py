"""The images of a dataset as one small uint8 array on disk, decoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from activesel.embedding.registry import Preprocess
from activesel.embedding.stream import resize
from activesel.images import decode_rgb

MAX_PIXELS = 50_000_000


def keep_pixels(paths: Sequence[str], side_px: int, preprocess: Preprocess, folder: Path) -> Path:
    """Return the .npy of (n, 3, side, side) uint8, one row per path; made where it does not exist yet."""
    name = hashlib.sha256("\n".join([str(side_px), preprocess.interpolation, *paths]).encode()).hexdigest()[:16]
    kept = folder / f"{name}.npy"
    if kept.exists():
        return kept
    small = replace(preprocess, height_px=side_px, width_px=side_px)
    pixels = np.empty((len(paths), 3, side_px, side_px), np.uint8)
    for row, path in enumerate(paths):
        pixels[row] = resize(decode_rgb(Path(path), max_pixels=MAX_PIXELS, at_least_px=side_px), small).numpy()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(".part.npy")
    np.save(unfinished, pixels)
    unfinished.replace(kept)
    return kept
