"""Segment's track calls, one by one or in a batch; RudderStack sends the same."""

from __future__ import annotations

from typing import Any

from activesel.errors import DataError
from activesel.events.registry import Draft, event_format

SOURCE = "segment"  # messageId tells events apart wherever they come from


def _looks_like_it(one: dict[str, Any]) -> bool:
    return isinstance(one.get("batch"), list) or (one.get("type", "track") == "track" and "event" in one)


def _split(value: Any) -> list[Any]:
    if isinstance(value, dict) and "batch" in value:
        if not isinstance(value["batch"], list):
            raise DataError("batch is not a list", found=type(value["batch"]).__name__)
        return value["batch"]
    return value if isinstance(value, list) else [value]


@event_format("segment", recognises=_looks_like_it, split=_split)
def read_track(item: Any) -> Draft:
    """Read one track call; other calls (identify, page, ...) say nothing about images.

    context.line and its like (line, station, shift, lot, part) count where the properties lack them.
    """
    if not isinstance(item, dict):
        raise DataError("not an object", found=type(item).__name__)
    if item.get("type", "track") != "track":
        raise DataError("not a track call", found=ascii(item["type"])[:40])
    if not (item.get("userId") or item.get("anonymousId")):
        raise DataError("a track call needs userId or anonymousId")
    properties, context = item.get("properties", {}), item.get("context", {})
    if isinstance(properties, dict) and isinstance(context, dict):
        places = {key: context[key] for key in ("line", "station", "shift", "lot", "part") if key in context}
        properties = {**places, **properties}
    time = item.get("timestamp") or item.get("originalTimestamp")
    return Draft(SOURCE, item.get("messageId", ""), item.get("event"), time, properties)
