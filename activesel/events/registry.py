"""The formats of events by name. A new one is a new file here with @event_format, and one import in __init__.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from activesel.errors import DataError, UsageError


@dataclass(frozen=True)
class Draft:
    """One event as its format gives it, nothing of it checked. id: empty where the format gave none.

    type: in any spelling that find_type knows. time: ISO 8601, None where the format gave none. subject: what
    the event is about, which is an image where its data name none.
    """

    source: object
    id: object
    type: object
    time: object
    data: object
    subject: object = ""


@dataclass(frozen=True)
class EventFormat:
    """recognises: whether a JSON object looks like this. split: the events of one value, a batch or a single one.

    read: one of those as a draft; raises DataError where it is none.
    """

    name: str
    recognises: Callable[[dict[str, Any]], bool]
    split: Callable[[Any], list[Any]]
    read: Callable[[Any], Draft]


_FORMATS: dict[str, EventFormat] = {}


def event_format(
    name: str, *, recognises: Callable[[dict[str, Any]], bool], split: Callable[[Any], list[Any]]
) -> Callable[[Callable[[Any], Draft]], Callable[[Any], Draft]]:
    """Register a reader of one event under ``name``."""

    def register(read: Callable[[Any], Draft]) -> Callable[[Any], Draft]:
        assert name not in _FORMATS, f"two event formats named {name}"
        _FORMATS[name] = EventFormat(name, recognises, split, read)
        return read

    return register


def event_format_names() -> tuple[str, ...]:
    return tuple(sorted(_FORMATS))


def get_event_format(name: str) -> EventFormat:
    """Return a format.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in _FORMATS:
        raise UsageError("no such format of events", found=name, expected="one of " + ", ".join(event_format_names()))
    return _FORMATS[name]


def guess_event_format(value: Any) -> EventFormat:
    """Return the format that a JSON value looks like, a batch by its first event.

    Raises:
        DataError: none.
    """
    first = next(iter(value), None) if isinstance(value, list) else value
    if isinstance(first, dict):
        for one in _FORMATS.values():
            if one.recognises(first):
                return one
    raise DataError("looks like no format of events", found=type(first).__name__ if first is not None else "nothing",
                    expected="one of " + ", ".join(event_format_names()))  # fmt: skip


def as_items(value: Any) -> list[Any]:
    """Split a batch that is a plain list; anything else is one event."""
    return value if isinstance(value, list) else [value]
