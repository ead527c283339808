"""A small labelled set on disk: plates on a dark bench, some of them scratched, made in code."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from synth.files import encode_image, encode_mask
from synth.records import Image, Mask

SIZE = 96


def plate(seed: int) -> Image:
    """A bright textured plate that fills most of a dark picture."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIZE, SIZE), 20.0)
    picture[10:86, 8:88] = 150
    picture += cv2.GaussianBlur(rng.normal(0, 6, picture.shape), (0, 0), 1) + rng.normal(0, 1, picture.shape)
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def scratched(seed: int) -> tuple[Image, Mask]:
    """The plate with one dark line, and where the line is."""
    rng = np.random.default_rng(1000 + seed)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    y, x = rng.integers(30, 60, 2).tolist()
    cv2.line(mask, (x, y), (x + int(rng.integers(6, 14)), y + int(rng.integers(-4, 5))), 1, 2)
    picture = plate(seed).astype(np.int16)
    picture[mask > 0] -= 70
    return np.clip(picture, 0, 255).astype(np.uint8), mask > 0


def write_set(folder: Path, *, n_good: int = 8, n_bad: int = 3, suffix: str = ".png") -> Path:
    """Write good and scratched plates and their labels.csv; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,label,mask,group"]
    for i in range(n_good):
        (folder / f"good{i}{suffix}").write_bytes(encode_image(plate(i), suffix))
        lines.append(f"good{i}{suffix},good,,g{i}")
    for i in range(n_bad):
        picture, mask = scratched(100 + i)
        (folder / f"bad{i}{suffix}").write_bytes(encode_image(picture, suffix))
        (folder / f"bad{i}_mask.png").write_bytes(encode_mask(mask))
        lines.append(f"bad{i}{suffix},scratch,bad{i}_mask.png,b{i}")
    labels = folder / "labels.csv"
    labels.write_text("\n".join(lines) + "\n", encoding="utf8")
    return labels
