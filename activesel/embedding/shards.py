"""One file of vectors in the safetensors format: written as bytes, read by memory map, never trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError

NOVELTY_COLUMNS = 5  # score, then x0, y0, x1, y1 of the box as shares of width and height
_ID_BYTES = 16
_MAX_HEADER_BYTES = 1 << 20  # ours have a few hundred


@dataclass(frozen=True)
class Shard:
    """A readable shard. ids: (r, 16) uint8, in memory."""

    path: Path
    ids: npt.NDArray[np.uint8]
    dim: int
    offset: int  # of the vectors, in bytes from the file's start
    novelty: npt.NDArray[np.float32] | None = None  # (r, NOVELTY_COLUMNS), in memory

    def vectors(self) -> npt.NDArray[np.float16]:
        """Return (r, d) as a read-only memory map; pages are read when touched."""
        return np.memmap(self.path, np.float16, mode="r", offset=self.offset, shape=(len(self.ids), self.dim))


def shard_bytes(
    ids: npt.NDArray[np.uint8], vectors: npt.NDArray[np.float16], novelty: npt.NDArray[np.float32] | None = None
) -> bytes:
    """Return the file's content for r ids (r, 16), their vectors (r, d) and, if there is any, novelty (r, 5)."""
    from safetensors.numpy import save

    tensors = {"ids": np.ascontiguousarray(ids), "vectors": np.ascontiguousarray(vectors, np.float16)}
    if novelty is not None:
        tensors["novelty"] = np.ascontiguousarray(novelty, np.float32)
    return bytes(save(tensors))


def open_shard(path: Path) -> Shard:
    """Check a shard's header against its length and read its ids.

    Raises:
        DataError: not a shard, or cut short.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > min(_MAX_HEADER_BYTES, size):
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(stream.read(length))
            ids_at, ids_shape = _span(header, "ids", "U8", 1, size - 8 - length)
            vectors_at, (n, dim) = _span(header, "vectors", "F16", 2, size - 8 - length)
            if ids_shape != (n, _ID_BYTES):
                raise ValueError(f"ids {ids_shape} for vectors {(n, dim)}")
            stream.seek(8 + length + ids_at)
            ids = np.frombuffer(stream.read(n * _ID_BYTES), np.uint8).reshape(n, _ID_BYTES)
            novelty = None
            if "novelty" in header:
                novelty_at, novelty_shape = _span(header, "novelty", "F32", 4, size - 8 - length)
                if novelty_shape != (n, NOVELTY_COLUMNS):
                    raise ValueError(f"novelty {novelty_shape} for vectors {(n, dim)}")
                stream.seek(8 + length + novelty_at)
                novelty = np.frombuffer(stream.read(n * NOVELTY_COLUMNS * 4), np.float32).reshape(novelty_shape)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("damaged shard of vectors", where=str(path), found=f"{error}") from None
    return Shard(path, ids, dim, 8 + length + vectors_at, novelty)


def _span(header: Any, name: str, dtype: str, item_bytes: int, n_bytes: int) -> tuple[int, tuple[int, int]]:
    """Return where a tensor begins and its shape, after checking that the file holds all of it."""
    entry = header[name]
    rows, columns = (int(side) for side in entry["shape"])
    begin, end = (int(offset) for offset in entry["data_offsets"])
    if entry["dtype"] != dtype or min(rows, columns) < 1 or begin < 0:
        raise ValueError(f"{name} is {entry['dtype']} {entry['shape']}")
    if end - begin != rows * columns * item_bytes or end > n_bytes:
        raise ValueError(f"{name} ends at byte {end} of {n_bytes}")
    return begin, (rows, columns)
