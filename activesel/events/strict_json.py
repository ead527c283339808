"""JSON from strangers: one value of UTF-8 text, refused where another reader might see another value in it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from activesel.errors import DataError

MOST_DEPTH = 16  # levels of lists and objects; an event in a batch in a wrapper takes seven
_FARTHEST_INT = 1 << 63
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def parse_json(raw: bytes) -> Any:
    """Return the value of a JSON text.

    Refused beside what is no JSON: keys that stand twice, NaN and Infinity, numbers that a 64-bit integer or float does
    not hold, more than MOST_DEPTH levels, half a surrogate pair, and the character zero.

    Raises:
        DataError: it is refused; the reason is one line.
    """
    try:
        text = raw.decode("utf-8-sig")
        value = _DECODER.decode(text)
    except RecursionError:
        raise DataError("not valid JSON", found="too many levels", expected=f"at most {MOST_DEPTH}") from None
    except ValueError as error:  # UnicodeDecodeError is one, too
        raise DataError("not valid JSON", found=" ".join(str(error).split())[:200]) from None
    if text.count("{") + text.count("[") > MOST_DEPTH:
        _check_depth(value)
    if "\\u" in text:
        _check_characters(text, value)
    return value


def to_text(value: Any) -> str:
    """Return a parsed value as compact JSON; half pairs, which a refused text may hold, stay escaped."""
    return json.dumps(value, separators=(",", ":"))


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child for one in level if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one) if isinstance(child, dict | list)
        ]  # fmt: skip
        if not level:
            return
    raise DataError("not valid JSON", found="too many levels", expected=f"at most {MOST_DEPTH}")


def _check_characters(text: str, value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError("not valid JSON", found="half of a surrogate pair") from None
    if _NUL.search(text):
        raise DataError("not valid JSON", found="the character zero")


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!a} stands twice")
    return made


def _make_int(token: str) -> int:
    if len(token) > 20 or not -_FARTHEST_INT <= (number := int(token)) < _FARTHEST_INT:
        raise ValueError(f"the number {token[:24]}... is too large")
    return number


def _make_float(token: str) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise ValueError(f"the number {token[:24]} is too large")
    return number


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_make_object, parse_int=_make_int, parse_float=_make_float, parse_constant=_refuse
)
