"""Rows that are worth keeping between rounds, on disk in the order of their ids, read by memory map.

What they are made from, and when they are made anew, is the caller's business.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.atomic import whole_file
from activesel.errors import DataError, UnreachableError
from activesel.ids import ID_BYTES, IdArray
from activesel.workspace import write_json

_LOG = logging.getLogger(__name__)
_SCHEMA_VERSION = 1
_ABOUT = "current.json"
_BLOCK_BYTES = 1 << 26  # checked or copied at a time

Half = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Directions:
    """What vectors are multiplied by. matrix: (d, c) float32, None = not at all. n_fitted: images in the pool then."""

    matrix: npt.NDArray[np.float32] | None
    n_fitted: int

    @property
    def checksum(self) -> str:
        return f"{0 if self.matrix is None else zlib.crc32(self.matrix.tobytes()):08x}"


@dataclass(frozen=True)
class Reduced:
    """ids: (n, 16), ascending. rows: (n, c) float16, one per id, a read-only memory map."""

    ids: IdArray
    rows: Half
    directions: Directions


def read_reduced(folder: Path) -> Reduced | None:
    """Return what was kept; None where there is nothing, or with a line in the log where it is damaged.

    folder/current.json names the file in force, rows-000001.bin: n x c float16, then n x 16 bytes of ids, then the
    directions, d x c float32. Every byte is checked, which reads some gigabytes a second.
    """
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf8"))
        return _open(folder, about)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        _LOG.warning("%s is damaged (%s); made anew", folder, " ".join(str(error).split())[:120])
        return None


def write_reduced(
    folder: Path, ids: IdArray, width: int, directions: Directions, fill: Callable[[Half], None]
) -> Reduced:
    """Let ``fill`` write the rows (n, width) of the ids into a memory map, and keep them.

    They are in force when this returns, and the earlier ones are if the process dies before. One writer at a time.

    Raises:
        UnreachableError: the disk is full or the folder cannot be written.
    """
    matrix = directions.matrix
    tail = np.ascontiguousarray(ids).tobytes() + (b"" if matrix is None else np.ascontiguousarray(matrix).tobytes())
    with _explain_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        path = folder / f"rows-{_next_number(folder):06d}.bin"
        checksum = _write_rows(path, (len(ids), width), tail, fill)
        about = {"schema_version": _SCHEMA_VERSION, "rows": path.name, "shape": [len(ids), width], "crc32": checksum,
                 "directions": None if matrix is None else list(matrix.shape),
                 "n_fitted": directions.n_fitted}  # fmt: skip
        write_json(folder / _ABOUT, about)
        _clear(folder)
    return _open(folder, about, check=False)


def copy_rows(source: Half, source_rows: npt.NDArray[np.int64], target: Half, target_rows: Any) -> None:
    """Copy rows between memory maps, block by block; both ascend, so the disk is read and written in order."""
    step = max(1, _BLOCK_BYTES // max(1, source.shape[1] * source.itemsize))
    for start in range(0, len(source_rows), step):
        here = slice(start, start + step)
        target[target_rows[here]] = source[source_rows[here]]


def _open(folder: Path, about: dict[str, Any], *, check: bool = True) -> Reduced:
    """Map the rows that ``about`` describes.

    Raises:
        ValueError and others: it does not describe them.
    """
    path = folder / Path(about["rows"]).name
    (n, width), n_fitted = map(int, about["shape"]), int(about["n_fitted"])
    shape = None if about["directions"] is None else tuple(map(int, about["directions"]))
    n_bytes = n * width * 2 + n * ID_BYTES + (0 if shape is None else shape[0] * shape[1] * 4)
    if about["schema_version"] != _SCHEMA_VERSION or n < 1 or width < 1 or path.stat().st_size != n_bytes:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {n_bytes}")
    whole = np.memmap(path, np.uint8, mode="r")
    if check and _checksum(whole) != about["crc32"]:
        raise ValueError(f"the checksum of {path.name} is another")
    rows = np.memmap(path, np.float16, mode="r", shape=(n, width))
    ids = np.array(whole[n * width * 2 : n * width * 2 + n * ID_BYTES]).reshape(n, ID_BYTES)
    matrix = None
    if shape is not None:
        matrix = np.frombuffer(whole[n * width * 2 + n * ID_BYTES :].tobytes(), np.float32).reshape(shape)
    return Reduced(ids, rows, Directions(matrix, n_fitted))


def _write_rows(path: Path, shape: tuple[int, int], tail: bytes, fill: Callable[[Half], None]) -> int:
    """Write the file under a name of its own, then give it its name; return its checksum."""
    with whole_file(path) as stream:
        _reserve(stream.fileno(), shape[0] * shape[1] * 2 + len(tail))
        stream.seek(shape[0] * shape[1] * 2)
        stream.write(tail)
        stream.flush()
        rows = np.memmap(stream, np.float16, mode="r+", shape=shape)
        fill(rows)
        rows.flush()
        return _checksum(np.memmap(stream, np.uint8, mode="r"))


def _reserve(handle: int, n_bytes: int) -> None:
    """Claim the room now: a disk that fills up under a memory map kills the process instead of raising an error."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, n_bytes)
    else:  # macOS
        block = bytes(1 << 20)
        for start in range(0, n_bytes, len(block)):
            os.pwrite(handle, block[: n_bytes - start], start)


def _checksum(content: npt.NDArray[np.uint8]) -> int:
    value = 0
    for start in range(0, len(content), _BLOCK_BYTES):
        value = zlib.crc32(content[start : start + _BLOCK_BYTES].data, value)
    return value


def _next_number(folder: Path) -> int:
    taken = [int(path.stem[5:]) for path in folder.glob("rows-[0-9][0-9][0-9][0-9][0-9][0-9].bin")]
    return max(taken, default=0) + 1


def _clear(folder: Path) -> None:
    """Remove what killed runs left, and rows that are not in force."""
    kept = None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((folder / _ABOUT).read_text(encoding="utf8"))["rows"]
    for path in [*folder.glob(".rows-*"), *folder.glob(f".{_ABOUT}.*"), *folder.glob("rows-*.bin")]:
        if path.name != kept:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _explain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (UnreachableError, DataError):
        raise
    except OSError as error:
        raise UnreachableError("cannot write", where=str(folder), found=error.strerror or str(error),
                               hint="free some space, then run the same command again") from None  # fmt: skip
