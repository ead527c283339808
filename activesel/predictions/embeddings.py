"""Read embeddings.npy beside a list of ids: the user's own vectors instead of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.predictions.matching import match_rows
from activesel.records import FloatArray
from activesel.vectors import check_vectors, iterate_blocks


def read_embeddings(npy_path: Path, ids_path: Path, resolve: Mapping[str, str], image_ids: Sequence[str]) -> FloatArray:
    """Return (n, d) unit rows in the order of image_ids; float16 stays float16, otherwise float32.

    ids_path: text, one image id or path a line, line i for row i of the array. Rows of known images that were not asked
    for are ignored.

    Raises:
        DataError: unreadable or wrongly shaped files, a different number of rows and ids, unknown or doubled ids, an
            image without a row, a value that is not finite, a row of zeros.
    """
    vectors = load_array(npy_path, n_axes=2, dtypes=("float16", "float32", "float64"))
    names = _read_ids(ids_path)
    if len(names) != len(vectors):
        raise DataError("ids and vectors differ in number", where=str(ids_path), found=f"{len(names)} ids",
                        expected=f"{len(vectors)}, one per row of {npy_path}")  # fmt: skip
    matched = match_rows(names, resolve, image_ids, where=str(ids_path), folder=ids_path.parent)
    missing = np.flatnonzero(matched.rows < 0)
    if len(missing):
        raise DataError(f"{len(missing)} of {len(image_ids)} images have no row", where=str(ids_path),
                        found=f"none for {image_ids[missing[0]]}", expected="one vector per image")  # fmt: skip
    in_order = len(names) == len(image_ids) and bool((matched.rows == np.arange(len(names))).all())
    _check_not_zero(vectors, npy_path)
    # In order already: no copy, so unit vectors stay in their memory-mapped file.
    return check_vectors(vectors if in_order else vectors[matched.rows], where=str(npy_path))


def load_array(path: Path, n_axes: int, dtypes: tuple[str, ...]) -> npt.NDArray[Any]:
    """Memory-map an .npy file, never running code from it.

    Raises:
        DataError: absent, not .npy, cut short, holding objects, or with another number of axes or type.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # refuses objects, so nothing is ever unpickled
    except OSError as error:
        raise DataError("cannot read the array", where=str(path), found=error.strerror or str(error)) from None
    except (ValueError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
        raise DataError("not a readable .npy file", where=str(path), found=" ".join(str(error).split())[:120],
                        expected="an array written by numpy.save, without objects") from None  # fmt: skip
    if array.ndim != n_axes or array.dtype.name not in dtypes or 0 in array.shape:
        raise DataError("wrong array", where=str(path), found=f"shape {array.shape} of {array.dtype}",
                        expected=f"{n_axes} axes, none empty, of {' or '.join(dtypes)}")  # fmt: skip
    return array


def _read_ids(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf8").splitlines()
    except OSError as error:
        raise DataError("cannot read the ids", where=str(path), found=error.strerror) from None
    except UnicodeDecodeError:
        raise DataError("not a text file", where=str(path), expected="UTF-8, one image id or path a line") from None
    return [name.strip() for name in names]


def _check_not_zero(vectors: FloatArray, path: Path) -> None:
    for start, block in iterate_blocks(vectors):
        zero = ~block.any(axis=1)
        if zero.any():
            row = start + int(zero.argmax())
            raise DataError("a vector is all zeros, so it has no direction", where=f"{path}, row {row}",
                            hint="leave the image out, or embed it again")  # fmt: skip
