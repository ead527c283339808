"""Read what bounds a batch: quotas as people write them (station=A:30,B:5-20, station=equal), and costs."""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt

from activesel.catalog import Column, Images
from activesel.errors import DataError
from activesel.records import BoolArray, FloatArray, Quota

UNBOUNDED = 2**31 - 1
_BOUND = re.compile(r"(?P<value>.+):(?P<least>\d{1,9})(?:-(?P<most>\d{1,9}))?", re.ASCII | re.DOTALL)


def parse_quota(text: str, values: Column, candidates: BoolArray, budget: float | None) -> Quota:
    """Return the bounds that ``text`` sets on a column; images without a value are not counted.

    "A:30" at most 30 of A; "A:5-20" at least 5 and at most 20; several with commas; "equal" the same number of each
    value, what a scarce value cannot give going to the others. candidates: (n,) rows that may still be picked, labelled
    ones left out, for what a value can give. budget: number of images, None where it is money.

    Raises:
        DataError: not of that form, a value twice or that no image has, minimums above the budget, "equal" with costs.
    """
    column, equals, wanted = text.partition("=")
    if not (column and equals and wanted):
        raise DataError(
            "cannot read a quota", where=text, expected="COLUMN=VALUE:MOST,VALUE:LEAST-MOST or COLUMN=equal"
        )
    names, codes = values.values, values.codes
    if not names:
        raise DataError(f"no image has a value for {column}", where=f"quota {text}", hint="see `activesel status`")
    position = {name: i for i, name in enumerate(names)}
    if wanted == "equal":
        if budget is None:
            raise DataError("equal shares out images, and --cost makes the budget money", where=f"quota {text}",
                            hint=f"give numbers: --quota {column}={names[0]}:30")  # fmt: skip
        high = _share_evenly(np.bincount(codes[candidates & (codes >= 0)], minlength=len(names)), int(budget))
        return Quota(f"quota {column}", codes, high, np.zeros(len(names), np.int64))
    low, high = _parse_bounds(text, wanted, position)
    if budget is not None and low.sum() > budget:
        raise DataError("the quota's minimums exceed the budget", where=text, found=str(low.sum()),
                        expected=f"up to {budget:g}")  # fmt: skip
    return Quota(f"quota {column}", codes, high, low)


def read_cost(images: Images, column: str, candidates: BoolArray) -> FloatArray:
    """Return (n,) costs above 0 from a metadata column; 1 for rows that cannot be picked and have none.

    Raises:
        DataError: a candidate's cost is missing, no number, not finite or not above 0.
    """
    texts = images.column(column)
    of_text = np.array([*map(_read_number, texts.values), np.nan])  # the last for code -1
    costs = of_text[texts.codes]
    wrong = candidates & ~(np.isfinite(costs) & (costs > 0))
    if wrong.any():
        (image,) = images.take(np.flatnonzero(wrong)[:1])
        found = "nothing" if column not in image.meta else repr(image.meta[column])
        raise DataError(f"column {column} is not a cost", where=image.path, found=found,
                        expected="a number above 0 for every image that may be picked")  # fmt: skip
    return np.where(candidates, costs, 1.0)


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _parse_bounds(
    text: str, wanted: str, position: dict[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    low = np.zeros(len(position), np.int64)
    high = np.full(len(position), UNBOUNDED, np.int64)
    seen: set[str] = set()
    for part in wanted.split(","):
        bound = _BOUND.fullmatch(part)
        if bound is None:
            raise DataError(
                "cannot read a quota", where=text, found=repr(part), expected="VALUE:MOST or VALUE:LEAST-MOST"
            )
        name, least, most = bound["value"], int(bound["least"]), bound["most"]
        if name not in position:
            raise DataError("a quota names a value that no image has", where=text, found=repr(name),
                            expected="one of " + ", ".join(list(position)[:8]))  # fmt: skip
        if name in seen:
            raise DataError("a quota names a value twice", where=text, found=repr(name))
        if most is not None and int(most) < least:
            raise DataError("a quota's minimum is above its maximum", where=text, found=repr(part))
        seen.add(name)
        low[position[name]], high[position[name]] = (0, least) if most is None else (least, int(most))
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
