"""Decoding in processes of their own, for a GPU that threads of one interpreter cannot feed."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from activesel.embedding.backbone import Backbone
from activesel.embedding.decoding import DecodedBatch, decode_tiles, gather
from activesel.embedding.registry import Preprocess
from activesel.errors import UnreachableError

AHEAD = 2  # batches that each process keeps ready: 19 MB each at 128 images of 224 px


@dataclass(frozen=True)
class Decoding(Dataset[DecodedBatch]):
    """What a process needs to know: not the network."""

    preprocess: Preprocess
    most_tiles: int
    max_pixels: int

    def __getitem__(self, batch: tuple[int, list[str]]) -> DecodedBatch:
        start, paths = batch
        return gather(start, decode_tiles([Path(path) for path in paths], preprocess=self.preprocess,
                                          most_tiles=self.most_tiles, max_pixels=self.max_pixels))  # fmt: skip


@dataclass(frozen=True)
class Batches(Sized):
    """The paths of each batch and where it begins, handed out one by one: a million paths are not copied to all."""

    paths: Sequence[Path]
    size: int

    def __len__(self) -> int:
        return -(-len(self.paths) // self.size)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for start in range(0, len(self.paths), self.size):
            yield start, [str(path) for path in self.paths[start : start + self.size]]


def decode_in_processes(
    backbone: Backbone, paths: Sequence[Path], processes: int, max_pixels: int
) -> Generator[DecodedBatch, None, None]:
    """Yield the paths' pixels batch by batch, in order, decoded by ``processes`` processes.

    Memory: two batches of pixels per process, and what is under way. Closing the generator ends the processes.

    Raises:
        UnreachableError: a process died, by a broken library or for want of memory.
    """
    decoding = Decoding(backbone.preprocess, backbone.most_tiles, max_pixels)
    loader: DataLoader[Any] = DataLoader(
        decoding, batch_size=None, sampler=Batches(paths, backbone.batch_size), num_workers=processes,
        prefetch_factor=AHEAD,
    )  # fmt: skip
    decoded = iter(loader)
    try:
        while True:
            try:
                yield next(decoded)
            except StopIteration:
                return
            except RuntimeError as error:
                if "worker" not in str(error):
                    raise
                raise UnreachableError(
                    "a decoding process died", found=str(error).splitlines()[0],
                    hint="set embedding.decode_processes=0; if it dies again, an image breaks the decoder",
                ) from None  # fmt: skip
    finally:
        del decoded
