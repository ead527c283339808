"""Files in, batches of vectors out: while one batch is in the network, the next is being read, decoded and resized."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
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

    from activesel.embedding.backbone import Backbone
    from activesel.embedding.forward import ForwardPass

_MOST_LANES = 8  # on a CPU; each holds a batch's activations, and their Python halves share one interpreter


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
class Lanes:
    """How many batches are under way at once, and how many threads each one's arithmetic may use."""

    number: int
    threads_each: int


def plan_lanes(device_type: str) -> Lanes:
    """Three on a GPU: two decode while one computes; what the CPU then computes is resizing, an image per decoding
    thread. On a CPU one per core, each computing alone.

    Threads that share one batch wait for each other after every layer; when another program takes one of their cores
    all of them stand still (measured in docs/embedding.md). Lanes never wait for each other.
    """
    cores = count_cores()
    if device_type == "cuda":
        return Lanes(3, 1)
    number = min(cores, _MOST_LANES)
    return Lanes(number, cores // number)


def count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def arithmetic_threads(number: int) -> Iterator[None]:
    """Let each torch operation use ``number`` threads until the block ends; the setting is the whole process's."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def embed_images(
    backbone: Backbone, paths: Sequence[Path], *, decode_threads: int = 0, max_pixels: int
) -> Generator[EmbeddedBatch, None, None]:
    """Yield the vectors of ``paths`` in order, one batch at a time.

    decode_threads: 0 = one per core; on a CPU these are the lanes themselves, which saves handing pixels over.
    Memory: one batch of pixels per lane, one decoded image per thread. Closing the iterator stops the threads.
    """
    from activesel.embedding.forward import ForwardPass

    lanes, size = plan_lanes(backbone.device.type), backbone.batch_size
    waiting: deque[Future[EmbeddedBatch]] = deque()
    with (
        arithmetic_threads(lanes.threads_each),
        _open_decoders(backbone, decode_threads) as decoders,
        ThreadPoolExecutor(lanes.number, thread_name_prefix="embed") as runners,
    ):
        line = _Line(ForwardPass(backbone, size), decoders, _allocate_buffers(backbone, lanes.number), max_pixels)
        try:
            for start in range(0, len(paths), size):
                waiting.append(runners.submit(_embed_batch, line, start, paths[start : start + size]))
                if len(waiting) > lanes.number:  # one more than can run, so that no lane waits for the reader
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True)
class _Line:
    """What all lanes share. decoders: None = each lane decodes. buffers: free (b, 3, h, w) uint8 tensors."""

    forward: ForwardPass
    decoders: ThreadPoolExecutor | None
    buffers: SimpleQueue[Tensor]
    max_pixels: int


def _open_decoders(
    backbone: Backbone, decode_threads: int
) -> contextlib.AbstractContextManager[ThreadPoolExecutor | None]:
    if not decode_threads and backbone.device.type == "cpu":
        return contextlib.nullcontext()
    return ThreadPoolExecutor(decode_threads or count_cores(), thread_name_prefix="decode")


def _allocate_buffers(backbone: Backbone, number: int) -> SimpleQueue[Tensor]:
    import torch

    shape = (backbone.batch_size, 3, backbone.preprocess.height_px, backbone.preprocess.width_px)
    buffers: SimpleQueue[Tensor] = SimpleQueue()
    for _ in range(number):
        buffers.put(torch.zeros(shape, dtype=torch.uint8, pin_memory=backbone.device.type == "cuda"))
    return buffers


def _embed_batch(line: _Line, start: int, paths: Sequence[Path]) -> EmbeddedBatch:
    """Decode into a free buffer, run the network on all of it, keep the rows that decoded."""
    from activesel.embedding.forward import to_half

    if line.forward.backbone.read_out is not None:
        return _embed_tiled(line, start, paths)
    pixels = line.buffers.get()
    try:
        errors = _decode_batch(line, pixels, paths)
        # Slots without an image hold an older batch's pixels; no row looks at another, so they only cost time.
        vectors = line.forward(pixels)
    finally:
        line.buffers.put(pixels)
    good = np.flatnonzero([error is None for error in errors])
    failed = tuple((start + i, error) for i, error in enumerate(errors) if error is not None)
    return EmbeddedBatch(start + good.astype(np.int64), to_half(vectors[good]), failed)


def _embed_tiled(line: _Line, start: int, paths: Sequence[Path]) -> EmbeddedBatch:
    """Decode each image to as many tiles as it wants, run the network on all of them, read one vector per image."""
    import torch

    from activesel.embedding.forward import to_half

    backbone = line.forward.backbone
    read_out = backbone.read_out
    assert read_out is not None
    decode = functools.partial(decode_tiles, backbone=backbone, max_pixels=line.max_pixels)
    images = list((map if line.decoders is None else line.decoders.map)(decode, paths))
    good = [i for i, image in enumerate(images) if not isinstance(image, str)]
    failed = tuple((start + i, image) for i, image in enumerate(images) if isinstance(image, str))
    tiled = [image for image in images if not isinstance(image, str)]
    vectors, novelty = np.empty((len(good), backbone.dim), np.float32), []
    slots = line.forward(torch.cat([pixels for pixels, _ in tiled])) if tiled else vectors
    at = 0
    for row, (pixels, tiles) in enumerate(tiled):
        vectors[row], found = read_out.read(slots[at : at + len(pixels)], tiles)
        novelty += [found] if found is not None else []
        at += len(pixels)
    return EmbeddedBatch(start + np.array(good, np.int64), to_half(vectors), failed, tuple(novelty))


def decode_tiles(path: Path, *, backbone: Backbone, max_pixels: int) -> tuple[Tensor, tuple[Tile, ...]] | str:
    """Return the image's tiles (t, 3, h, w) uint8 and where they are in it, or what is wrong with the file."""
    import torch

    preprocess, most = backbone.preprocess, backbone.most_tiles
    shortest = max(preprocess.height_px, preprocess.width_px)
    try:
        rgb = decode_rgb(path, max_pixels=max_pixels, at_least_px=None if most else shortest)
    except DataError as error:
        return str(error)
    tiles = plan_tiles(rgb.shape[0], rgb.shape[1], shortest, most)
    parts = [np.ascontiguousarray(rgb[tile.y0 : tile.y1, tile.x0 : tile.x1]) for tile in tiles]
    return torch.stack([resize(part, preprocess) for part in parts]), tiles


def _decode_batch(line: _Line, pixels: Tensor, paths: Sequence[Path]) -> list[str | None]:
    each = map if line.decoders is None else line.decoders.map
    decode = functools.partial(_decode_into, preprocess=line.forward.backbone.preprocess, max_pixels=line.max_pixels)
    return list(each(decode, pixels[: len(paths)], paths))


def _decode_into(slot: Tensor, path: Path, *, preprocess: Preprocess, max_pixels: int) -> str | None:
    """Fill ``slot`` (3, h, w) with the image; return what is wrong with the file, or None."""
    shortest = max(preprocess.height_px, preprocess.width_px)
    try:
        slot.copy_(resize(decode_rgb(path, max_pixels=max_pixels, at_least_px=shortest), preprocess))
    except DataError as error:
        return str(error)
    return None


def resize(rgb: npt.NDArray[np.uint8], preprocess: Preprocess) -> Tensor:
    """Stretch (h, w, 3) to the backbone's (3, h, w), smoothing where it shrinks, as Pillow does and OpenCV does not."""
    import torch

    pixels = torch.from_numpy(rgb).permute(2, 0, 1)
    size = (preprocess.height_px, preprocess.width_px)
    if pixels.shape[1:] == size:
        return pixels
    with torch.inference_mode():
        return torch.nn.functional.interpolate(pixels[None], size, mode=preprocess.interpolation, antialias=True)[0]
