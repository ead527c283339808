"""Standard augmentation, what made images have to beat: flips, a small rotation, brightness and contrast."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import albumentations

MOST_DEGREES = 10
MOST_CHANGE = 0.15  # of brightness and of contrast


def augment(picture: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
    """Return the picture (h, w, 3) changed as the seed says, of the same size; borders are mirrored."""
    changes = _changes()
    changes.set_random_seed(seed % 2**32)
    changed: dict[str, Any] = changes(image=picture)
    return np.ascontiguousarray(changed["image"], np.uint8)


def _changes() -> albumentations.Compose:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or its import asks the internet for a newer version
    import albumentations  # half a second: only who proves pays for it
    import cv2

    return albumentations.Compose([
        albumentations.HorizontalFlip(p=0.5),
        albumentations.VerticalFlip(p=0.5),
        albumentations.Rotate((-MOST_DEGREES, MOST_DEGREES), border_mode=cv2.BORDER_REFLECT_101, p=0.8),
        albumentations.RandomBrightnessContrast(MOST_CHANGE, MOST_CHANGE, p=0.8),
    ])  # fmt: skip
