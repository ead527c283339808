"""Check and normalise the vectors that a user or an embedder hands in; where they come from is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import FloatArray
from activesel.tensors import Rows

BLOCK_VALUES = 1 << 24  # 64 MB of float32 at a time, whatever the width
BLOCK_ROWS = 8192
UNIT_TOLERANCE = 2e-3  # fp16 rounding moves a norm by up to 0.0005


def check_vectors(vectors: npt.NDArray[Any], where: str) -> FloatArray:
    """Return (n, d) rows of length 1; float16 stays float16, every other number becomes float32.

    An array whose rows are unit already is returned as it is, without a copy, so a memory-mapped file stays on disk.
    A row of zeros stays zeros: it is equally far from everything. Reads the rows in blocks of 64 MB.

    Raises:
        DataError: not two axes, no row or column, not numbers, or a value that is not finite.
    """
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise DataError("vectors need one row per image", where=where, found=f"shape {vectors.shape}",
                        expected="shape (n, d), n and d at least 1")  # fmt: skip
    if vectors.dtype.kind not in "fiu":
        raise DataError("vectors are not numbers", where=where, found=str(vectors.dtype), expected="float16 or float32")
    dtype = np.float16 if vectors.dtype == np.float16 else np.float32
    if _are_unit(vectors, where) and vectors.dtype == dtype:
        return vectors
    unit = np.empty(vectors.shape, dtype)
    for start, block in iterate_blocks(vectors):
        # Divided by the largest value first: squares of values beyond 1e19 overflow float32.
        peak = np.abs(block).max(axis=1, keepdims=True)
        block = block / np.where(peak > 0, peak, 1)
        norm = np.linalg.norm(block, axis=1, keepdims=True)
        unit[start : start + len(block)] = block / np.where(norm > 0, norm, 1)
    return unit


def iterate_blocks(vectors: FloatArray, block_values: int = BLOCK_VALUES) -> Iterator[tuple[int, FloatArray]]:
    """Yield (first row, float32 or float64 block of rows): bounded memory for a memory-mapped file of any size."""
    step = max(1, block_values // vectors.shape[1])
    for start in range(0, len(vectors), step):
        block = np.asarray(vectors[start : start + step])
        yield start, block if block.dtype in (np.float32, np.float64) else block.astype(np.float32)


def _are_unit(vectors: FloatArray, where: str) -> bool:
    """Whether every row has length 1 or 0; raises on a value that is not finite."""
    if vectors.dtype in (np.float16, np.float32) and _are_plainly_unit(vectors):
        return True
    for start, block in iterate_blocks(vectors):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            raise DataError("a vector holds a value that is not a finite number", where=f"{where}, row {start + row}",
                            found=str(block[row][~np.isfinite(block[row])][0]))  # fmt: skip
    return False


def _are_plainly_unit(vectors: FloatArray) -> bool:
    """The quick look, at the speed of memory: a value that is not finite makes its row's length no number near 1."""
    rows = Rows(vectors)
    for block in rows.blocks(BLOCK_ROWS):
        values = rows.exact(block)
        length = values.square().sum(dim=1).sqrt()
        is_zero = length == 0  # or too small to be squared
        if bool(values[is_zero].any()) or not bool(((length - 1.0).abs().lt(UNIT_TOLERANCE) | is_zero).all()):
            return False
    return True
