"""Files to pixels, and the pixels of some files to their vectors."""

from __future__ import annotations

import functools
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
from activesel.images import decode_pixels

if TYPE_CHECKING:
    from torch import Tensor

    from activesel.embedding.forward import ForwardPass

Tiled = tuple[
    "Tensor", tuple[Tile, ...]
]  # the tiles of an image (t, c, h, w) uint8, and where they are in it; c: 1 or 3

_Parts = tuple[list[npt.NDArray[np.uint8]], tuple[Tile, ...]]
PLANES = 4  # grey images of one size that torch resizes in the time of one: its loops work on four channels


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
    """rows: (k,) positions of the images that decoded. pixels: (t, c, h, w) uint8, their tiles in order, or None
    without any; c is 1 where all are grey, else 3. tiles: of each image. failed: position and message of the others."""

    rows: npt.NDArray[np.int64]
    pixels: Tensor | None
    tiles: tuple[tuple[Tile, ...], ...]
    failed: tuple[tuple[int, str], ...]


def decode_tiles(
    paths: Sequence[Path], *, preprocess: Preprocess, most_tiles: int, max_pixels: int
) -> list[Tiled | str]:
    """Return each image's tiles, the whole alone where ``most_tiles`` is 0, or what is wrong with the file.

    Decoded images are held four at a time.
    """
    decode = functools.partial(_cut, shortest=max(preprocess.height_px, preprocess.width_px), most_tiles=most_tiles,
                               max_pixels=max_pixels)  # fmt: skip
    fours = (paths[start : start + PLANES] for start in range(0, len(paths), PLANES))
    return [image for four in fours for image in _resize_tiles([decode(path) for path in four], preprocess)]


def _cut(path: Path, *, shortest: int, most_tiles: int, max_pixels: int) -> _Parts | str:
    try:
        image = decode_pixels(path, max_pixels=max_pixels, at_least_px=None if most_tiles else shortest)
    except DataError as error:
        return str(error)
    tiles = plan_tiles(image.shape[0], image.shape[1], shortest, most_tiles)
    return [np.ascontiguousarray(image[tile.y0 : tile.y1, tile.x0 : tile.x1]) for tile in tiles], tiles


def _resize_tiles(images: Sequence[_Parts | str], preprocess: Preprocess) -> list[Tiled | str]:
    import torch

    resized = iter(
        resize_all([part for image in images if not isinstance(image, str) for part in image[0]], preprocess)
    )
    return [image if isinstance(image, str) else (torch.stack([next(resized) for _ in image[1]]), image[1])
            for image in images]  # fmt: skip


def gather(start: int, images: Sequence[Tiled | str]) -> DecodedBatch:
    """Put the images of a batch that begins at position ``start`` together."""
    import torch

    good = [(i, image) for i, image in enumerate(images) if not isinstance(image, str)]
    failed = tuple((start + i, image) for i, image in enumerate(images) if isinstance(image, str))
    channels = max((tiles.shape[1] for _, (tiles, _) in good), default=0)
    pixels = torch.cat([tiles.expand(-1, channels, -1, -1) for _, (tiles, _) in good]) if good else None
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


def resize_all(parts: Sequence[npt.NDArray[np.uint8]], preprocess: Preprocess) -> list[Tensor]:
    """Return each part as `resize` does, grey ones of one size four at a time: the same values, a third of the time."""
    import torch

    resized: dict[int, Tensor] = {}
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, part in enumerate(parts):
        alike.setdefault(part.shape, []).append(i)
    for (*_, channels), which in alike.items():
        at_once = PLANES if channels == 1 else 1
        for start in range(0, len(which), at_once):
            some = which[start : start + at_once]
            planes = resize(np.concatenate([parts[i].transpose(2, 0, 1) for i in some]).transpose(1, 2, 0), preprocess)
            resized.update(zip(some, torch.split(planes, channels), strict=True))
    return [resized[i] for i in range(len(parts))]


def resize(image: npt.NDArray[np.uint8], preprocess: Preprocess) -> Tensor:
    """Stretch (h, w, c) to the backbone's (c, h, w), smoothing where it shrinks, as Pillow does and OpenCV does not."""
    import torch

    pixels = torch.from_numpy(image).permute(2, 0, 1)
    size = (preprocess.height_px, preprocess.width_px)
    if pixels.shape[1:] == size:
        return pixels
    with torch.inference_mode():
        return torch.nn.functional.interpolate(pixels[None], size, mode=preprocess.interpolation, antialias=True)[0]
