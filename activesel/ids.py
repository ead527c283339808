"""Image ids as bytes: a million of them in 16 MB, sorted and looked up without a Python object for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ID_BYTES = 16

IdArray = npt.NDArray[np.uint8]  # (n, 16), an id a row; rows in the order of their bytes are in the order of their text


def pack_ids(ids: Sequence[str]) -> IdArray:
    """Return ids of 32 hex digits as bytes, (n, 16)."""
    assert all(len(value) == 2 * ID_BYTES for value in ids), "an image id has 32 hex digits"
    return np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(len(ids), ID_BYTES)


def unpack_ids(ids: IdArray) -> list[str]:
    """Return the text of every id.

    >>> unpack_ids(pack_ids(["00ff" * 8]))
    ['00ff00ff00ff00ff00ff00ff00ff00ff']
    """
    return join_ids(ids).split("\n") if len(ids) else []


def join_ids(ids: IdArray) -> str:
    """Return the ids as one text, a line each, without a line end after the last."""
    return np.ascontiguousarray(ids).tobytes().hex("\n", ID_BYTES)


def sort_ids(ids: IdArray) -> npt.NDArray[np.int64]:
    """Return the row numbers (n,) that put ids in order; equal ones stay as they are."""
    return np.argsort(_keys(ids), kind="stable")


def unique_ids(ids: IdArray) -> IdArray:
    """Return each id once, in order."""
    return np.unique(_keys(ids)).view(np.uint8).reshape(-1, ID_BYTES)


def find_ids(ordered: IdArray, wanted: IdArray) -> npt.NDArray[np.int64]:
    """Return the row of each wanted id in ``ordered`` (n, 16), whose rows ascend: (m,), -1 where it is not there."""
    if not len(ordered):
        return np.full(len(wanted), -1, np.int64)
    keys, sought = _keys(ordered), _keys(wanted)
    # Searching more or less in order reads memory in order: four times as fast for a million.
    order = np.argsort(np.ascontiguousarray(wanted[:, :8]).view(">u8").ravel().astype(np.uint64))
    at = np.empty(len(wanted), np.int64)
    at[order] = np.minimum(np.searchsorted(keys, sought[order]), len(keys) - 1)
    return np.where(keys[at] == sought, at, -1)


def _keys(ids: IdArray) -> npt.NDArray[np.bytes_]:
    """View (n, 16) as n byte strings; of one width, so that the zeros numpy strips at their ends change no order."""
    return np.ascontiguousarray(ids).view(f"S{ID_BYTES}").ravel()
