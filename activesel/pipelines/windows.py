"""Which images are recent, and what they are compared with: by metadata, by the order of ingesting, by events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.catalog import Catalog, Images
from activesel.errors import DataError
from activesel.ids import pack_ids
from activesel.labels import ImageLookup
from activesel.pipelines.gather import find_candidates
from activesel.records import BoolArray, IntArray
from activesel.workspace import Workspace

TIME = "time"
RECENT = 0.25  # share of the images that are recent by their time, where no window was asked for
_COMPARED = re.compile(r"([^<>=]+)(>=|<=|<|>)(.+)", re.DOTALL)
_EXPECTED = "500 (the last ingested), COLUMN>=VALUE, COLUMN=VALUE,VALUE or events:500"


@dataclass(frozen=True)
class Sides:
    """(n,) each. told: the window as it was asked for, or in words."""

    reference: BoolArray
    recent: BoolArray
    told: str


def read_sides(
    workspace: Workspace, images: Images, labelled: IntArray, window: str | None, reference: str | None
) -> Sides | None:
    """Return what is compared with what; None where no window was asked for and no image has a time.

    window: 500 (the last ingested), events:500 (images of the last events), COLUMN>=VALUE, COLUMN=VALUE. reference:
    the same forms, "training" (labelled images), or None: all that are not recent.

    Raises:
        DataError: a window that cannot be read or holds no image.
    """
    if window is None:
        times = images.column(TIME)
        known = np.sort(times.codes[times.codes >= 0])
        if not len(known):
            return None
        window = f"{TIME}>={times.values[known[int((1 - RECENT) * len(known))]]}"
    recent = _read(workspace, images, labelled, window)
    before = ~recent if reference is None else _read(workspace, images, labelled, reference) & ~recent
    if not before.any():
        raise DataError("no image is left to compare with", where=f"--window {window}", found=f"{recent.sum()} recent",
                        hint="name fewer, or another --reference")  # fmt: skip
    return Sides(before, recent, window)


def _read(workspace: Workspace, images: Images, labelled: IntArray, text: str) -> BoolArray:
    found = np.zeros(len(images), bool)
    compared = _COMPARED.fullmatch(text)
    if text == "training":
        found[labelled] = True
    elif text.isdecimal():
        with Catalog.open(workspace.catalog_place) as catalog:
            found[_rows(images, catalog.watching.last_ingested(int(text)))] = True
    elif text.startswith("events:") and text[7:].isdecimal():
        found[_reported(workspace, images, int(text[7:]))] = True
    elif compared is not None:
        found = _compare(images, *compared.groups())
    elif "=" in text:
        found = find_candidates(images, [text])
    else:
        raise DataError("cannot read a window", where=text, expected=_EXPECTED)
    if not found.any():
        raise DataError("no image lies in the window", where=text)
    return found


def _rows(images: Images, names: list[str]) -> IntArray:
    rows = images.find(pack_ids(names)) if names else np.empty(0, np.int64)
    return rows[rows >= 0]


def _reported(workspace: Workspace, images: Images, most: int) -> IntArray:
    with Catalog.open(workspace.catalog_place) as catalog:
        names, by_path = catalog.watching.last_reported(most), catalog.resolve()
    lookup = ImageLookup(by_path)
    return _rows(images, [found for name in names if (found := find_image(lookup, name)) is not None])


def find_image(lookup: ImageLookup, name: str) -> str | None:
    """Return the id of the image that the line names so, by id or path; None where nobody knows it, or which."""
    try:
        return lookup.by_id(name) or lookup.by_path(name, Path.cwd(), where=name)
    except DataError:
        return None


def _compare(images: Images, column: str, sign: str, value: str) -> BoolArray:
    """Compare numbers as numbers where all of them are, else as text, which orders ISO 8601 times."""
    known = images.column(column)
    if not known.values:
        raise DataError("no image has such a column", where=f"{column}{sign}{value}", found=column,
                        expected="one of " + ", ".join(list(images.columns())[:8]))  # fmt: skip
    try:
        numbers, edge = np.array([float(one) for one in known.values]), float(value)
        holds = {">=": numbers >= edge, ">": numbers > edge, "<=": numbers <= edge, "<": numbers < edge}[sign]
    except ValueError:
        texts = [{">=": one >= value, ">": one > value, "<=": one <= value, "<": one < value}[sign]
                 for one in known.values]  # fmt: skip
        holds = np.array(texts)
    return np.append(holds, False)[known.codes]  # the last for code -1
