"""Mild changes of brightness, contrast and gamma by albumentations (2.0.x), seeded, for patch and ground alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from synth.records import Levels


def vary(picture: Levels, background: Levels, seed: int) -> tuple[Levels, Levels]:
    """Return both under one and the same change, so that their difference stays the defect; (h, w, 3) levels."""
    both = np.clip(np.concatenate([picture, background]) / np.float32(255), 0, 1)
    compose = transforms()
    compose.set_random_seed(seed)
    changed = np.asarray(compose(image=both)["image"], np.float32) * np.float32(255)
    return changed[: len(picture)], changed[len(picture) :]


@lru_cache(maxsize=1)
def transforms() -> Any:
    import albumentations  # half a second: only who renders pays for it

    return albumentations.Compose([
        albumentations.RandomBrightnessContrast(brightness_limit=0.04, contrast_limit=0.08, p=0.7),
        albumentations.RandomGamma(gamma_limit=(93, 107), p=0.3),
    ])  # fmt: skip
