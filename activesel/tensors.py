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
# Of a product of unit rows in bfloat16: three roundings (both factors, result) to 8 bits, 2**-9 each, and some reserve.
ROUGH_ERROR = 0.0065


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


def multiply_roughly(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Return the product of two bfloat16 matrices in bfloat16, off by ``ROUGH_ERROR`` at most where rows are units.

    Computed in float32, and rounded, on a processor that cannot multiply bfloat16.
    """
    import torch

    if left.device.type != "cpu" or cpu_multiplies_bfloat16():
        return torch.mm(left, right, out=out) if out is not None else left @ right
    product = left.float() @ right.float()
    return out.copy_(product) if out is not None else product.bfloat16()


class Rows:
    """The vectors of a pool where the arithmetic happens: in place on the CPU (a memory map stays on disk), uploaded
    once to a GPU. Handed out as float32 for exact work and as bfloat16 for bounds.

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
        """Return some rows as (r, d) bfloat16, 8 bits of mantissa: products 3 times as fast where the
        processor has them (``multiply_roughly``), off by 0.004."""
        return self._take(rows).bfloat16()

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
