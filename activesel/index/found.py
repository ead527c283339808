"""What a search returns, and how its lists are put in order."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from activesel.progress import Advance, ignore_progress
from activesel.records import FloatArray, IntArray

# similarity (q, k) float32 and rows (q, k) int32, most similar first, equal ones by row number; 0 and -1 where a row
# has fewer than k neighbours.
Found = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]


class Search(Protocol):
    """Finds the neighbours of a pool's own rows. order: all row numbers, neighbours close together: the order in which
    asking costs least."""

    @property
    def order(self) -> IntArray: ...

    def find(self, rows: IntArray, k: int, advance: Advance = ignore_progress) -> Found:
        """Return the k nearest other rows of each of ``rows``; a row leaves out itself by number, not its copies."""
        ...


def take_best(similarity: FloatArray, rows: IntArray, k: int) -> Found:
    """Return the k best of each line's (q, m) candidates in order; -inf marks what is no candidate.

    Which of several equally similar ones at the end of the list stays is the one with the lower row number.
    """
    # Both in one number each: numpy sorts plain numbers ten times as fast as it orders by two keys.
    both = _order_descending(similarity).astype(np.uint64) << np.uint64(32) | rows.astype(np.uint32)
    both.sort(axis=1)
    chosen = both[:, :k].astype(np.uint32).view(np.int32)
    best = _undo_order((both[:, :k] >> np.uint64(32)).astype(np.uint32))
    nobody = best == -np.inf
    best[nobody], chosen[nobody] = 0, -1
    return best, chosen


def _order_descending(values: FloatArray) -> npt.NDArray[np.uint32]:
    """Return whole numbers that rise as float32 values fall: the bits, those of negative values as they are."""
    bits = (values.astype(np.float32, copy=False) + np.float32(0)).view(np.int32)  # -0 becomes 0
    return np.where(bits < 0, bits, bits ^ 0x7FFFFFFF).view(np.uint32)


def _undo_order(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    bits = numbers.view(np.int32)
    return np.where(bits < 0, bits, bits ^ 0x7FFFFFFF).view(np.float32)


def measure_recall(similarity: FloatArray, exact: FloatArray) -> float:
    """Return the share of found neighbours at least as similar as the k-th exact one; equal ones count as found."""
    return float((similarity >= exact[:, -1:] - 1e-6).mean())
