"""Files to pixels, and the pixels of some files to their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from activesel.embedding.novelty_map import Novelty
from activesel.embedding.registry import Preprocess
from activesel.embedding.tiles import Tile, plan_tiles
from activesel.errors import DataError
from activesel.images import decode_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from activesel.embedding.forward import ForwardPass

Tiled = tuple["Tensor", tuple[Tile, ...]]  # the tiles of an image (t, 3, h, w) uint8, and where they are in it


@dataclass(frozen=True)
class EmbeddedBatch:
    """What became of one batch of paths.

    rows: (k,) positions in the paths given, in order. vectors: (k, d) float16, as the backbone gives them, not unit.
    failed: position and message of each file that no longer decodes. novelty: (k,) of defect-aware pooling, or empty.
    """

    rows: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]
    failed: tuple[tuple[int, str], ...]
    novelty: tuple[Novelty, ...] = ()


@dataclass(frozen=True)
class DecodedBatch:
    """rows: (k,) positions of the images that decoded. pixels: (t, 3, h, w) uint8, their tiles in order, or None
    without any. tiles: of each image. failed: position and message of the others."""

    rows: npt.NDArray[np.int64]
    pixels: Tensor | None
    tiles: tuple[tuple[Tile, ...], ...]
    failed: tuple[tuple[int, str], ...]


def decode_tiles(path: Path, *, preprocess: Preprocess, most_tiles: int, max_pixels: int) -> Tiled | str:
    """Return the image's tiles, the whole alone where ``most_tiles`` is 0, or what is wrong with the file."""
    import torch

    shortest = max(preprocess.height_px, preprocess.width_px)
    try:
        rgb = decode_rgb(path, max_pixels=max_pixels, at_least_px=None if most_tiles else shortest)
    except DataError as error:
        return str(error)
    tiles = plan_tiles(rgb.shape[0], rgb.shape[1], shortest, most_tiles)
    parts = [np.ascontiguousarray(rgb[tile.y0 : tile.y1, tile.x0 : tile.x1]) for tile in tiles]
    return torch.stack([resize(part, preprocess) for part in parts]), tiles


def gather(start: int, images: Sequence[Tiled | str]) -> DecodedBatch:
    """Put the images of a batch that begins at position ``start`` together."""
    import torch

    good = [(i, image) for i, image in enumerate(images) if not isinstance(image, str)]
    failed = tuple((start + i, image) for i, image in enumerate(images) if isinstance(image, str))
    pixels = torch.cat([tiles for _, (tiles, _) in good]) if good else None
    return DecodedBatch(
        np.array([start + i for i, _ in good], np.int64), pixels, tuple(where for _, (_, where) in good), failed
    )


def embed_decoded(forward: ForwardPass, batch: DecodedBatch) -> EmbeddedBatch:
    """Run the network on the tiles and read one vector per image."""
    from activesel.embedding.forward import to_half

    read_out, vectors = forward.backbone.read_out, np.empty((len(batch.rows), forward.backbone.dim), np.float32)
    novelty: list[Novelty] = []
    slots = vectors if batch.pixels is None else forward(batch.pixels)
    if read_out is None:
        return EmbeddedBatch(batch.rows, to_half(slots), batch.failed)
    at = 0
    for row, tiles in enumerate(batch.tiles):
        vectors[row], found = read_out.read(slots[at : at + len(tiles)], tiles)
        novelty += [found] if found is not None else []
        at += len(tiles)
    return EmbeddedBatch(batch.rows, to_half(vectors), batch.failed, tuple(novelty))


def resize(rgb: npt.NDArray[np.uint8], preprocess: Preprocess) -> Tensor:
    """Stretch (h, w, 3) to the backbone's (3, h, w), smoothing where it shrinks, as Pillow does and OpenCV does not."""
    import torch

    pixels = torch.from_numpy(rgb).permute(2, 0, 1)
    size = (preprocess.height_px, preprocess.width_px)
    if pixels.shape[1:] == size:
        return pixels
    with torch.inference_mode():
        return torch.nn.functional.interpolate(pixels[None], size, mode=preprocess.interpolation, antialias=True)[0]
