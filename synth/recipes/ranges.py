"""How the keys of a recipe's file are declared, read and checked; knows no recipe."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any

import numpy as np

from synth.errors import SynthError

Range = tuple[float, float]  # low, high, both may be drawn
Counts = tuple[int, int]  # low, high, both may be drawn


def span(low: float, high: float, meaning: str) -> Any:
    """Declare a [low, high] key whose ends must lie within these."""
    return field(metadata={"kind": "span", "within": (low, high), "meaning": meaning})


def count(low: int, high: int, meaning: str) -> Any:
    """Declare a [low, high] key of whole numbers."""
    return field(metadata={"kind": "count", "within": (low, high), "meaning": meaning})


def share(meaning: str) -> Any:
    """Declare a single number 0..1: how often something is so."""
    return field(metadata={"kind": "share", "within": (0, 1), "meaning": meaning})


def choice(options: tuple[str, ...], meaning: str) -> Any:
    """Declare a list of words out of ``options``; one of the list is drawn each time."""
    return field(metadata={"kind": "choice", "options": options, "meaning": meaning})


def draw_count(rng: np.random.Generator, counts: Counts) -> int:
    return int(rng.integers(counts[0], counts[1] + 1))


def draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def check_keys(cls: type, found: Mapping[str, Any], *, where: str, whole: bool) -> dict[str, Any]:
    """Return the values of a file as the fields of ``cls`` want them. whole: none may be missing.

    Raises:
        SynthError: a key is unknown, missing, of another kind, or out of bounds.
    """
    known = {one.name: one for one in fields(cls) if one.metadata}
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise SynthError("unknown key", where=where, found=repr(key), expected=", ".join(near or known))
    if whole and (missing := [key for key in known if key not in found]):
        raise SynthError("a key is missing", where=where, expected=", ".join(missing))
    return {key: _check(known[key], value, where=f"{where}: {key}") for key, value in found.items()}


def _check(key: Field[Any], value: Any, *, where: str) -> Any:
    kind = key.metadata["kind"]
    if kind == "choice":
        options = key.metadata["options"]
        if not isinstance(value, list) or not value or not set(value) <= set(options):
            raise SynthError("not a list of known words", where=where, found=repr(value), expected=", ".join(options))
        return tuple(value)
    low, high = key.metadata["within"]
    ends = [value] if kind == "share" else value
    wanted = f"a number {low}..{high}" if kind == "share" else f"[low, high] within {low}..{high}"
    if not isinstance(ends, list) or len(ends) != (1 if kind == "share" else 2):
        raise SynthError("not of this form", where=where, found=repr(value), expected=wanted)
    types = int if kind == "count" else (int, float)
    if any(isinstance(end, bool) or not isinstance(end, types) for end in ends):
        raise SynthError("not a whole number" if kind == "count" else "not a number", where=where, found=repr(value),
                         expected=wanted)  # fmt: skip
    if not low <= ends[0] <= ends[-1] <= high:
        raise SynthError("out of bounds", where=where, found=repr(value), expected=wanted)
    return value if kind == "share" else tuple(ends)
