"""CloudEvents 1.0 in JSON: single, as a batch, and in binary mode, whose attributes are HTTP headers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from activesel.errors import DataError
from activesel.events.registry import Draft, as_items, event_format
from activesel.events.strict_json import parse_json

_ATTRIBUTES = ("specversion", "type", "source", "id", "time", "subject", "datacontenttype")


@event_format("cloudevents", recognises=lambda one: "specversion" in one, split=as_items)
def read_cloudevent(item: Any) -> Draft:
    """Read one event in structured mode. Without an id, which the specification wants, it gets one of its content."""
    if not isinstance(item, dict):
        raise DataError("not an object", found=type(item).__name__)
    if item.get("specversion") != "1.0":
        raise DataError("not CloudEvents 1.0", found=f"specversion {ascii(item.get('specversion'))[:40]}")
    kind = item.get("datacontenttype")
    if kind is not None and not is_json_type(kind):
        raise DataError("data are not JSON", found=ascii(kind)[:80], expected="application/json")
    data = item.get("data") if "data_base64" not in item else _decode(item["data_base64"])
    return Draft(
        item.get("source"), item.get("id", ""), item.get("type"), item.get("time"), data, item.get("subject", "")
    )


def from_binary_mode(headers: Mapping[str, str], data: Any) -> dict[str, Any]:
    """Return the structured form of an event whose attributes came as ``ce-`` headers; names in lower case."""
    found = {name: unquote(headers[f"ce-{name}"]) for name in _ATTRIBUTES if f"ce-{name}" in headers}
    return {**found, "data": data}


def is_json_type(kind: object) -> bool:
    """Tell whether a media type is JSON, with parameters or a structured suffix."""
    if not isinstance(kind, str):
        return False
    plain = kind.split(";")[0].strip().lower()
    return plain in ("application/json", "text/json") or plain.endswith("+json")


def _decode(text: object) -> Any:
    try:
        return parse_json(base64.b64decode(str(text), validate=True))
    except (binascii.Error, ValueError):
        raise DataError("data_base64 is not Base64") from None
