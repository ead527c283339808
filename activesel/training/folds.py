"""Split labelled rows into parts that spread the classes evenly and never split a group of near-duplicates."""

from __future__ import annotations

import numpy as np

from activesel.records import IntArray


def deal_groups(classes: IntArray, groups: IntArray, n_parts: int, rng: np.random.Generator) -> IntArray:
    """Return (m,) part numbers 0..n_parts-1: whole groups, dealt class by class in one long round.

    classes: (m,) a group counts as its first row's class. groups: (m,) numbers, equal = must stay together.

    >>> deal_groups(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 7]), 2, np.random.default_rng(0)).tolist()
    [0, 0, 1, 0]
    """
    _, first, of_row = np.unique(groups, return_index=True, return_inverse=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(classes[first][order], kind="stable")]
    parts = np.empty(len(first), np.int64)
    parts[order] = (np.arange(len(order)) + rng.integers(n_parts)) % n_parts
    return parts[of_row]
