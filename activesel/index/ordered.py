"""A copy of a pool's vectors in another order, on disk: rows that are asked for together lie together."""

from __future__ import annotations

import tempfile

import numpy as np

from activesel.errors import UnreachableError
from activesel.records import IntArray
from activesel.tensors import Rows

BLOCK_ROWS = 16384
RELEASE_BLOCKS = 8  # a block of rows from everywhere touches most pages of a mapped file


def copy_in_order(vectors: Rows, order: IntArray) -> Rows:
    """Return the rows ``order`` of the pool as a memory map of a temporary file, which nobody else sees.

    The file lies where `tempfile` puts files (the variable TMPDIR says) and goes with the map or the process.

    Raises:
        UnreachableError: the disk is full.
    """
    shape, dtype = (len(order), vectors.d), vectors.dtype
    try:
        with tempfile.TemporaryFile(prefix="activesel-") as stream:
            for number, start in enumerate(range(0, len(order), BLOCK_ROWS), start=1):
                stream.write(vectors.stored(order[start : start + BLOCK_ROWS]).data)
                if number % RELEASE_BLOCKS == 0:
                    vectors.release()
            stream.flush()
            return Rows(np.memmap(stream, dtype, mode="r", shape=shape))
    except OSError as error:
        raise UnreachableError(
            "cannot copy the vectors in the order of their lists",
            where=tempfile.gettempdir(),
            found=error.strerror or str(error),
            expected=f"{np.prod(shape) * dtype.itemsize / 1e9:.1f} GB free",
            hint="set TMPDIR to a folder on a larger disk, then run the same command again",
        ) from None
