"""GA4's Measurement Protocol: {"client_id": ..., "events": [{"name": "operator_override", "params": {...}}]}."""

from __future__ import annotations

from typing import Any

from activesel.errors import DataError
from activesel.events.reading import from_epoch
from activesel.events.registry import Draft, event_format

SOURCE = "ga4"


def _looks_like_it(one: dict[str, Any]) -> bool:
    return isinstance(one.get("events"), list) and ("client_id" in one or "app_instance_id" in one)


def _split(value: Any) -> list[Any]:
    """Give each event what stands beside the list, so that it can be read, and stand among the dead, on its own."""
    found = []
    for body in value if isinstance(value, list) else [value]:
        if not isinstance(body, dict) or not isinstance(body.get("events"), list):
            raise DataError("no list of events", found=type(body).__name__)
        shared = {key: body[key] for key in ("client_id", "app_instance_id", "timestamp_micros") if key in body}
        found += [{**shared, "events": [event]} for event in body["events"]]
    return found


@event_format("ga4", recognises=_looks_like_it, split=_split)
def read_measurement(item: Any) -> Draft:
    """Read one event. Its id is params.event_id; without one it gets one of its content, the client among it."""
    events = item.get("events") if isinstance(item, dict) else None
    if not isinstance(events, list) or len(events) != 1 or not isinstance(events[0], dict):
        raise DataError("not an event of the Measurement Protocol")
    event = events[0]
    client = item.get("client_id") or item.get("app_instance_id")
    if not client:
        raise DataError("needs client_id or app_instance_id")
    when = from_epoch(event.get("timestamp_micros", item.get("timestamp_micros")), 1_000_000)
    params = event.get("params", {})
    event_id = params.get("event_id", "") if isinstance(params, dict) else ""
    return Draft(f"{SOURCE}/{client}", event_id, event.get("name"), when, params)
