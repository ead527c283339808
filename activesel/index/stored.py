"""Arrays in a file (safetensors), written without a copy, atomically, and read as memory maps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.atomic import whole_file
from activesel.errors import DataError

_TYPES = {"I32": np.dtype(np.int32), "I64": np.dtype(np.int64), "F32": np.dtype(np.float32), "U8": np.dtype(np.uint8)}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_LENGTH_BYTES = 8
_MOST_HEADER = 1 << 16

Arrays = Mapping[str, npt.NDArray[Any]]
Columns = Mapping[str, tuple[npt.DTypeLike, int]]  # name -> dtype and width of an (n, width) array


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write a safetensors file that is absent (or old) or complete, whatever kills the process.

    Raises:
        UnreachableError: the disk is full or the folder cannot be written.
    """
    header, position = {}, 0
    for name, array in arrays.items():
        stop = position + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": [position, stop]}
        position = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # the arrays start at a multiple of 8
    with whole_file(path) as stream:
        stream.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for array in arrays.values():
            stream.write(np.ascontiguousarray(array).data)


def map_arrays(path: Path, columns: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return a file's arrays, mapped: nothing is read before it is looked at, and a change stays in memory.

    columns: the arrays that must be there, all of one length.

    Raises:
        DataError: no such file, cut short, or other arrays.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(stream.read(min(length, _MOST_HEADER)))
        first = _LENGTH_BYTES + length
        mapped = {name: _map(path, header[name], first, size, *columns[name]) for name in columns}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError("the file cannot be read", where=str(path), found=str(error)) from None
    if len({len(array) for array in mapped.values()}) != 1:
        raise DataError("the arrays have different lengths", where=str(path))
    return mapped


def _map(
    path: Path, about: Mapping[str, Any], first: int, size: int, dtype: npt.DTypeLike, width: int
) -> npt.NDArray[Any]:
    """Map one array after checking that the file holds all of it."""
    shape = tuple(about["shape"])
    start, stop = about["data_offsets"]
    expected = np.dtype(dtype)
    if _TYPES.get(about["dtype"]) != expected or len(shape) != 2 or shape[1] != width or shape[0] < 1:
        raise ValueError(f"{about['dtype']} {shape} instead of (n, {width}) {expected}")
    if start < 0 or stop - start != shape[0] * width * expected.itemsize or first + stop > size:
        raise ValueError(f"{size} bytes, expected {first + stop}")
    return np.memmap(path, expected, mode="c", offset=first + start, shape=shape)
