"""A small job made in code: photographs of four kinds, their labels, and a backbone that is built in no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

KINDS = ("plain", "stripe", "dot", "dark")


def draw_photo(seed: int) -> Image.Image:
    """A 48 x 48 photograph of kind KINDS[seed % 4]; no two seeds give the same bytes."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(150, 12, (48, 48, 3))
    kind = KINDS[seed % 4]
    if kind == "stripe":
        pixels[:, 8 + seed % 20 :: 12] = 30
    elif kind == "dot":
        pixels[10 + seed % 15 : 25, 10:30] = (220, 40, 40)
    elif kind == "dark":
        pixels *= 0.4
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_photos(folder: Path, n_images: int) -> Path:
    """Write photo-00.png ... and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(n_images):
        draw_photo(seed).save(folder / f"photo-{seed:02d}.png")
    return folder


def write_labels(path: Path, photos: Path, n_labels: int) -> Path:
    """Write a path,label CSV for the first photos and return its path."""
    rows = [f'"{photos}/photo-{seed:02d}.png",{KINDS[seed % 4]}' for seed in range(n_labels)]
    path.write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf8")
    return path


def tiny_backbone(folder: Path) -> list[str]:
    """Settings for a network of half a million random weights, given as a user's own checkpoint; no download."""
    from activesel.embedding.torchvision_shim import declare_torchvision_operators

    declare_torchvision_operators()
    import timm
    import torch

    path = folder / "tiny.pt"
    if not path.exists():
        torch.manual_seed(0)
        torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    settings = (
        "embedding.backbone=timm:test_resnet",
        f"embedding.checkpoint={path}",
        "embedding.precision=float32",
        "duplicates.group_cap=0",
    )  # fmt: skip - random weights see near-duplicates everywhere
    return [word for setting in settings for word in ("--set", setting)]
