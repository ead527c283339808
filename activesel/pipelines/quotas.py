"""Read quotas as people write them: station=A:30,B:5-20, station=equal, class=crack:50."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import BoolArray, Quota

UNBOUNDED = 2**31 - 1


def parse_quota(text: str, values: Sequence[str | None], candidates: BoolArray, budget: float) -> Quota:
    """Return the bounds that ``text`` sets on the column whose value per row is ``values`` (None = not counted).

    "A:30" at most 30 of A; "A:5-20" at least 5 and at most 20; several with commas; "equal" the same number of each
    value, what a scarce value cannot give going to the others.

    Raises:
        DataError: not of that form, a value that no candidate has, or minimums above the budget.
    """
    column, equals, wanted = text.partition("=")
    if not equals or not wanted:
        raise DataError(
            "cannot read a quota", where=text, expected="COLUMN=VALUE:MOST,VALUE:LEAST-MOST or COLUMN=equal"
        )
    names = sorted({value for value in values if value is not None})
    if not names:
        raise DataError(f"no image has a value for {column}", where=f"quota {text}", hint="see `activesel status`")
    position = {name: i for i, name in enumerate(names)}
    codes = np.array([-1 if value is None else position[value] for value in values], dtype=np.int64)
    if wanted == "equal":
        high = _share_evenly(np.bincount(codes[candidates & (codes >= 0)], minlength=len(names)), int(budget))
        return Quota(f"quota {column}", codes, high, np.zeros(len(names), np.int64))
    low, high = _parse_bounds(text, wanted, position)
    if low.sum() > budget:
        raise DataError("the quota's minimums exceed the budget", where=text, found=str(low.sum()),
                        expected=f"up to {budget:g}")  # fmt: skip
    return Quota(f"quota {column}", codes, high, low)


def _parse_bounds(
    text: str, wanted: str, position: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    low = np.zeros(len(position), np.int64)
    high = np.full(len(position), UNBOUNDED, np.int64)
    for part in wanted.split(","):
        name, colon, bounds = part.rpartition(":")
        least, dash, most = bounds.partition("-")
        if not colon or not least.isdigit() or (dash and not most.isdigit()):
            raise DataError(
                "cannot read a quota", where=text, found=repr(part), expected="VALUE:MOST or VALUE:LEAST-MOST"
            )
        if name not in position:
            raise DataError("a quota names a value that no image has", where=text, found=repr(name),
                            expected="one of " + ", ".join(list(position)[:8]))  # fmt: skip
        low[position[name]], high[position[name]] = (int(least), int(most)) if dash else (0, int(least))
        if dash and int(most) < int(least):
            raise DataError("a quota's minimum is above its maximum", where=text, found=repr(part))
    return low, high


def _share_evenly(available: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """Fill every value to the same level, as far as it has images; the remainder goes to the first ones."""
    given = np.zeros(len(available), np.int64)
    left = min(budget, int(available.sum()))
    while left > 0:
        hungry = np.flatnonzero(given < available)
        step = max(1, left // len(hungry))
        for i in hungry:
            more = min(step, int(available[i] - given[i]), left)
            given[i] += more
            left -= more
    return given
