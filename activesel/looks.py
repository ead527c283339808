"""Looking again and again at growing labels: how sure a bound must be so that all looks together err rarely enough.

A test at 5 % that is repeated whenever more has been labelled errs in 13 of 100 batches after five looks at labels just
below the bar (docs/quality.md). So each look is made at a part of it, and the later ones at less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from activesel.records import IntArray

FIRST = 0.025  # chance that a bound of the first look is wrong; with DECAY: see share_of
DECAY = 1.5


@dataclass(frozen=True)
class Look:
    """One look at a batch's overlap. number: from 1, among the looks at labels of the same guideline versions.

    key: what was looked at; the same overlap again is the same look. n: images compared. bound: chance that a
    one-sided bound of this look is wrong.
    """

    number: int
    key: str
    guidelines: tuple[str, ...]
    n: int

    @property
    def bound(self) -> float:
        return share_of(self.number)

    @property
    def next_bound(self) -> float:
        return share_of(self.number + 1)


def share_of(number: int) -> float:
    """Return the chance that a one-sided bound of look ``number`` may be wrong: 0.025 / number^1.5.

    Looks that had nothing in common would err together in 6.5 of 100 cases at most. Those at growing labels have much:
    five err in at most 4.1, however much is labelled between them, and twenty in 5.0 (Brownian
    motion: tests/test_looks.py).

    >>> [round(share_of(number), 4) for number in (1, 2, 3, 4, 5)]
    [0.025, 0.0088, 0.0048, 0.0031, 0.0022]
    """
    assert number >= 1
    return float(FIRST / number**DECAY)


def take_look(earlier: Sequence[Look], table: IntArray, classes: Sequence[str], guidelines: Sequence[str]) -> Look:
    """Return the look at a (c, c) table of pairs: an earlier one where the table is the same, else the next.

    earlier: all looks at the batch so far. guidelines: versions that the compared labels follow. Labels made anew by
    another version are other labels and begin at one; while some of the old ones are left they count on.
    """
    versions = tuple(sorted(set(guidelines)))
    key = _key(table, classes, versions)
    same = next((one for one in earlier if one.key == key), None)
    if same is not None:
        return same
    before = [one.number for one in earlier if set(one.guidelines) & set(versions)]
    return Look(1 + max(before, default=0), key, versions, int(np.sum(table)))


def _key(table: IntArray, classes: Sequence[str], versions: Sequence[str]) -> str:
    """32 hex digits of what was compared. Classes that nobody said to a pair of these images change nothing."""
    rows = np.asarray(table, np.int64)
    said = [
        f"{a!r} {b!r} {rows[i, j]}"
        for i, a in enumerate(classes) for j, b in enumerate(classes) if rows[i, j]
    ]  # fmt: skip
    text = "\n".join([*versions, "", *sorted(said)])
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()[:32]
