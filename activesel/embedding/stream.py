"""Files in, batches of vectors out: while one batch is in the network, the next is being read, decoded and resized."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from activesel.embedding.decoding import PLANES, EmbeddedBatch, decode_tiles, embed_decoded, gather, resize
from activesel.embedding.registry import Preprocess
from activesel.errors import DataError
from activesel.heap import kept_heap
from activesel.images import decode_pixels

if TYPE_CHECKING:
    from torch import Tensor

    from activesel.embedding.backbone import Backbone
    from activesel.embedding.forward import ForwardPass

_PROCESSES_FROM = 4096  # images, some seconds of a GPU; below, starting processes takes longer than they save
_CORES_FROM = 4  # up to which threads decode as fast (docs/performance.md)
_MOST_LANES = 8  # on a CPU; each holds a batch's activations, and their Python halves share one interpreter


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


def plan_processes(device_type: str, n_images: int) -> int:
    """One per core on a GPU's machine, where there are cores and images enough to pay for starting them."""
    cores = count_cores()
    many = n_images >= _PROCESSES_FROM and cores >= _CORES_FROM
    return cores if device_type == "cuda" and many else 0


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
    backbone: Backbone,
    paths: Sequence[Path],
    *,
    decode_threads: int = 0,
    decode_processes: int | None = None,
    max_pixels: int,
) -> Generator[EmbeddedBatch, None, None]:
    """Yield the vectors of ``paths`` in order, one batch at a time.

    decode_threads: 0 = one per core; on a CPU these are the lanes themselves, which saves handing pixels over.
    decode_processes: in their stead, 0 = none, None = one per core for many images on a GPU, which threads of one
    interpreter cannot feed. Memory: one batch of pixels per lane, four decoded images per thread; two batches per
    process. Closing the iterator stops threads and processes. Vectors do not depend on any of it.

    Raises:
        UnreachableError: a decoding process died, or not even one image fits the device's memory.
    """
    from activesel.embedding.forward import ForwardPass

    if decode_processes is None:
        decode_processes = plan_processes(backbone.device.type, len(paths))
    if decode_processes:
        from activesel.embedding.processes import decode_in_processes

        forward = ForwardPass(backbone, backbone.batch_size)
        with (
            arithmetic_threads(plan_lanes(backbone.device.type).threads_each),
            contextlib.closing(decode_in_processes(backbone, paths, decode_processes, max_pixels)) as decoded,
        ):
            yield from (embed_decoded(forward, batch) for batch in decoded)
        return
    lanes, size = plan_lanes(backbone.device.type), backbone.batch_size
    waiting: deque[Future[EmbeddedBatch]] = deque()
    with (
        kept_heap(),
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
    decode = functools.partial(decode_tiles, preprocess=line.forward.backbone.preprocess,
                               most_tiles=line.forward.backbone.most_tiles, max_pixels=line.max_pixels)  # fmt: skip
    each = map if line.decoders is None else line.decoders.map
    fours = [paths[at : at + PLANES] for at in range(0, len(paths), PLANES)]
    return embed_decoded(line.forward, gather(start, list(itertools.chain.from_iterable(each(decode, fours)))))


def _decode_batch(line: _Line, pixels: Tensor, paths: Sequence[Path]) -> list[str | None]:
    each = map if line.decoders is None else line.decoders.map
    decode = functools.partial(_decode_into, preprocess=line.forward.backbone.preprocess, max_pixels=line.max_pixels)
    return list(each(decode, pixels[: len(paths)], paths))


def _decode_into(slot: Tensor, path: Path, *, preprocess: Preprocess, max_pixels: int) -> str | None:
    """Fill ``slot`` (3, h, w) with the image; return what is wrong with the file, or None."""
    shortest = max(preprocess.height_px, preprocess.width_px)
    try:
        slot.copy_(resize(decode_pixels(path, max_pixels=max_pixels, at_least_px=shortest), preprocess))
    except DataError as error:
        return str(error)
    return None
