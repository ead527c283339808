"""The images of a training as tensors: decoded through activesel.images, kept while memory allows, with masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from activesel.annotations import shapes_from_json
from activesel.embedding.decoding import resize
from activesel.embedding.registry import Preprocess
from activesel.errors import DataError
from activesel.images import decode_pixels, decode_rgb
from activesel.matching import draw_shape
from activesel.records import IntArray

MOST_BYTES = 2 << 30  # of decoded images kept in memory; the others are decoded each time they are looked at
THREADS = 4
UNKNOWN = 255  # of a mask's cell that nobody has said anything of


@dataclass(frozen=True)
class Source:
    """One image. mask: path of a mask, "" for none. shapes: JSON of shapes, "" for none. is_clean: known to have no
    defect, so that its mask is empty."""

    path: str
    mask: str = ""
    shapes: str = ""
    is_clean: bool = False


class Pictures:
    """n images as (3, h, w) uint8, stretched as the preprocessing says, and their masks of the same size."""

    def __init__(
        self, sources: Sequence[Source], preprocess: Preprocess, *, max_pixels: int, masks: bool = False
    ) -> None:
        self.sources = tuple(sources)
        self._preprocess, self._max_pixels, self._masks = preprocess, max_pixels, masks
        n_bytes = (4 if masks else 3) * preprocess.height_px * preprocess.width_px
        self._most_kept = MOST_BYTES // n_bytes
        self._kept: dict[int, tuple[Tensor, Tensor | None]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: IntArray) -> tuple[Tensor, Tensor | None]:
        """Return (b, 3, h, w) uint8, and where masks are wanted (b, h, w): 0 clean, 1 defect, 255 unknown.

        Raises:
            DataError: a file that cannot be decoded; the message names it.
        """
        found = list(self._threads.map(self._read, rows.tolist()))
        masks = [mask for _, mask in found if mask is not None]
        return torch.stack([picture for picture, _ in found]), torch.stack(masks) if masks else None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _read(self, row: int) -> tuple[Tensor, Tensor | None]:
        if row in self._kept:
            return self._kept[row]
        source, shortest = self.sources[row], max(self._preprocess.height_px, self._preprocess.width_px)
        whole = bool(self._masks and source.shapes)  # shapes are in pixels of the whole image
        rgb = decode_rgb(Path(source.path), max_pixels=self._max_pixels, at_least_px=None if whole else shortest)
        mask = self._read_mask(source, rgb.shape[:2]) if self._masks else None
        picture = resize(np.ascontiguousarray(rgb), self._preprocess).clone()
        if len(self._kept) < self._most_kept:
            self._kept[row] = (picture, mask)
        return picture, mask

    def _read_mask(self, source: Source, size: tuple[int, int]) -> Tensor:
        shape = (self._preprocess.height_px, self._preprocess.width_px)
        if source.shapes:
            return _fit(draw_shapes(source.shapes, size), shape)
        if source.mask:
            pixels = decode_pixels(Path(source.mask), max_pixels=self._max_pixels)
            return _fit((pixels.max(axis=2) > 127).astype(np.uint8), shape)
        return torch.full(shape, 0 if source.is_clean else UNKNOWN, dtype=torch.uint8)


def draw_shapes(text: str, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return (h, w) 0 or 1 of the shapes (JSON, as shapes_to_json) on an image of that size, 512 cells at most.

    Raises:
        DataError: not such shapes.
    """
    try:
        drawn = [draw_shape(shape, (0.0, 0.0, float(size[1]), float(size[0]))) for shape in shapes_from_json(text)]
    except (ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError("not shapes of an image", found=str(error)[:120]) from None
    return np.asarray(np.logical_or.reduce(drawn), np.uint8)


def _fit(mask: npt.NDArray[np.uint8], shape: tuple[int, int]) -> Tensor:
    """Stretch a mask; a cell is a defect where a quarter of it is, so that thin ones stay."""
    import cv2

    shares = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return torch.from_numpy((shares >= 0.25).astype(np.uint8))


@dataclass(frozen=True)
class Changes:
    """Augmentation. flips: left-right and up-down, each of half the images. light: of brightness and contrast, up to
    this share."""

    flips: bool = True
    light: float = 0.15


def change(pictures: Tensor, masks: Tensor | None, changes: Changes, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Return the pictures (b, 3, h, w) as float32 0..255 and the masks, if any, changed alike."""
    n = len(pictures)
    found = [pictures.float(), *([masks] if masks is not None else [])]
    if changes.flips:
        for axis in (-1, -2):
            which = torch.from_numpy(rng.random(n) < 0.5)
            found = [torch.where(which.view(-1, *[1] * (one.ndim - 1)), one.flip(axis), one) for one in found]
    draw = torch.from_numpy(rng.uniform(-changes.light, changes.light, (2, n, 1, 1, 1)).astype(np.float32))
    middle = found[0].mean(dim=(1, 2, 3), keepdim=True)
    found[0] = ((found[0] - middle) * (1 + draw[0]) + middle + 255 * draw[1]).clamp(0, 255)
    return tuple(found)
