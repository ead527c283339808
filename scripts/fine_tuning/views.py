"""The images of a dataset as one array on disk: each as it is and mirrored, through the stages that do not learn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from activesel.embedding.decoding import resize
from activesel.embedding.registry import Preprocess, find_recipe
from activesel.images import decode_rgb
from fine_tuning.training import BACKBONE, cut_pretrained

MAX_PIXELS = 50_000_000
BATCH = 16


def keep_views(paths: Sequence[str], side_px: int, frozen: int, folder: Path, device: str) -> Path:
    """Return the .npy of (n, 2, ...): each image and its mirror image as the first stages leave them, float16, or as
    (3, side, side) uint8 where none is frozen. Made where it does not exist yet.
    """
    name = hashlib.sha256("\n".join([BACKBONE, str(side_px), str(frozen), *paths]).encode()).hexdigest()[:16]
    kept = folder / f"{name}.npy"
    if kept.exists():
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    stays, preprocess = cut_pretrained(frozen)[0].to(device), find_recipe(BACKBONE, None).build()[1]
    batches = [paths[at : at + BATCH] for at in range(0, len(paths), BATCH)]
    views = np.concatenate([run_stages(stays, read_views(batch, side_px, preprocess)) for batch in batches])
    unfinished = kept.with_suffix(".part.npy")
    np.save(unfinished, views)
    unfinished.replace(kept)
    return kept


def read_views(paths: Sequence[str], side_px: int, preprocess: Preprocess) -> Tensor:
    """Return (b, 2, 3, side, side) uint8."""
    small = replace(preprocess, height_px=side_px, width_px=side_px)
    images = [decode_rgb(Path(path), max_pixels=MAX_PIXELS, at_least_px=side_px) for path in paths]
    pixels = torch.stack([resize(image, small) for image in images])
    return torch.stack([pixels, pixels.flip(3)], dim=1)


@torch.inference_mode()
def run_stages(stays: nn.Sequential, views: Tensor) -> np.ndarray:
    """Return the views (b, 2, ...) after the stages; unchanged where there are none."""
    if not len(stays):
        return views.numpy()
    where = next(stays.parameters()).device
    x = views.flatten(0, 1).float().to(where).contiguous(memory_format=torch.channels_last)
    return stays(x).unflatten(0, views.shape[:2]).half().cpu().numpy()
