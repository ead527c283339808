"""Arrays to torch: one function for small ones, and `Rows` for the vectors of a pool, on the CPU or a GPU."""

from __future__ import annotations

import functools
import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

BLOCK_ROWS = 16384
RELEASE_BLOCKS = 64


def to_tensor(values: npt.NDArray[Any]) -> torch.Tensor:
    """Return a float32 tensor; memory is shared where it may be.

    torch warns about arrays that are read-only, such as a file mapped with mode "r": those are copied.
    """
    import torch

    floats = np.ascontiguousarray(values, dtype=np.float32)
    return torch.from_numpy(floats if floats.flags.writeable else floats.copy())


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one CPU thread: for loops of small steps, where threads wait for each other instead."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """Tell whether the processor has bfloat16 instructions; without them its products take fifty times float32's."""
    import torch

    # Not public, but there since 2.5; an absent one means "do not know", and float32 is right everywhere.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, lambda: False)() for question in questions)


def rough_type(device: torch.device) -> torch.dtype:
    """Return the type whose products are the quickest that a device has, good enough for bounds: float16 on a GPU, on a
    CPU bfloat16, three times as fast as float32, or float32 where the processor lacks it."""
    import torch

    if device.type != "cpu":
        return torch.float16
    return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32


def rough_error(dtype: torch.dtype) -> float:
    """Return how far a product of unit rows, its factors and its result rounded to ``dtype``, may be off.

    At worst all components of both factors err alike, by half of the last bit: 2**-8 of each product twice and 2**-9
    of the result in bfloat16, 2**-11 twice and 2**-12 in float16, with some reserve for the sum. Dense rows of many
    components, whose errors cancel, stay far below.
    """
    import torch

    return {torch.bfloat16: 0.0099, torch.float16: 0.0015, torch.float32: 1e-5}[dtype]


class Rows:
    """The vectors of a pool where the arithmetic happens: in place on the CPU (a memory map stays on disk), uploaded
    once to a GPU. Handed out as float32 for exact work and roughly for bounds.

    vectors: (n, d) float16 or float32, an array or a tensor.
    """

    def __init__(self, vectors: npt.NDArray[Any] | torch.Tensor, device: str = "cpu") -> None:
        import torch

        self._mapped = find_map(vectors)
        if isinstance(vectors, np.ndarray):
            with warnings.catch_warnings():  # about read-only arrays: nothing here writes to them
                warnings.simplefilter("ignore", UserWarning)
                vectors = torch.from_numpy(np.ascontiguousarray(vectors))
        self._values = vectors.to(torch.device(device))

    def __len__(self) -> int:
        return int(self._values.shape[0])

    @property
    def d(self) -> int:
        return int(self._values.shape[1])

    @property
    def device(self) -> torch.device:
        return self._values.device

    def exact(self, rows: slice | npt.NDArray[np.integer[Any]] | torch.Tensor) -> torch.Tensor:
        """Return some rows as (r, d) float32: the pool's own memory where it can be, so never changed in place."""
        return self._take(rows).float()

    def rough(self, rows: slice | npt.NDArray[np.integer[Any]] | torch.Tensor) -> torch.Tensor:
        """Return some rows as (r, d) in ``rough_type``, never changed in place."""
        return self._take(rows).to(rough_type(self.device))

    def blocks(self, step: int = BLOCK_ROWS) -> Iterator[slice]:
        """Yield slices that cover all rows; a memory map's pages are given back every few blocks."""
        for number, start in enumerate(range(0, len(self), step), start=1):
            yield slice(start, min(start + step, len(self)))
            if number % RELEASE_BLOCKS == 0:
                self.release()
        self.release()

    def release(self) -> None:
        """Give a memory map's pages back; the next read fetches them again."""
        if self._mapped is not None:
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def _take(self, rows: slice | npt.NDArray[np.integer[Any]] | torch.Tensor) -> torch.Tensor:
        import torch

        if isinstance(rows, slice):
            return self._values[rows]
        index = torch.as_tensor(rows, dtype=torch.int64, device=self._values.device)
        return self._values.index_select(0, index)


def find_map(vectors: object) -> mmap.mmap | None:
    """Return the map of the file that an array lies in, None where it lies in memory."""
    while isinstance(vectors, np.ndarray):
        found = getattr(vectors, "_mmap", None)
        if isinstance(found, mmap.mmap):
            return found
        vectors = vectors.base
    return None
