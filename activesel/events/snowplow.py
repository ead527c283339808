"""Snowplow's self-describing events: bare, and as trackers POST them to /com.snowplowanalytics.snowplow/tp2."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from activesel.errors import DataError
from activesel.events.reading import from_epoch
from activesel.events.registry import Draft, as_items, event_format
from activesel.events.schemas import MODEL
from activesel.events.strict_json import parse_json

SOURCE = "snowplow"
_SCHEMA = re.compile(r"iglu:([\w.-]{1,128})/([\w-]{1,128})/jsonschema/(\d{1,4})-(\d{1,4})-(\d{1,4})")


def _split(value: Any) -> list[Any]:
    """A tracker's POST holds a list of its events; anything else is one self-describing event, or a list of them."""
    if isinstance(value, dict) and "/payload_data/" in str(value.get("schema", ""))[:300]:
        if not isinstance(value.get("data"), list):
            raise DataError("payload_data is not a list", found=type(value.get("data")).__name__)
        return list(value["data"])
    return as_items(value)


def _looks_like_it(one: dict[str, Any]) -> bool:
    return str(one.get("schema", ""))[:5] == "iglu:" or ("e" in one and ("ue_pr" in one or "ue_px" in one))


@event_format("snowplow", recognises=_looks_like_it, split=_split)
def read_self_describing(item: Any) -> Draft:
    """Read one event. A bare one has neither id nor time: an id of its content and the time of receiving stand in."""
    if not isinstance(item, dict):
        raise DataError("not an object", found=type(item).__name__)
    if "schema" in item:
        name, data = _describe(item)
        return Draft(SOURCE, "", name, None, data)
    if item.get("e") != "ue":
        raise DataError("not a self-describing event", found=f"e = {ascii(item.get('e'))[:40]}", expected="ue")
    name, data = _describe(_unwrap(item))
    source = f"{SOURCE}/{item['aid']}" if item.get("aid") else SOURCE
    when = from_epoch(item.get("ttm") or item.get("dtm"), 1000)  # the true time where a tracker knows it
    return Draft(source, item.get("eid", ""), name, when, data)


def _unwrap(item: dict[str, Any]) -> dict[str, Any]:
    """Return the event inside a tracker's: JSON in ue_pr, or the same in URL-safe Base64 in ue_px."""
    try:
        if "ue_px" in item:
            text = str(item["ue_px"])
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        else:
            raw = str(item.get("ue_pr", "")).encode()
    except (binascii.Error, ValueError):
        raise DataError("ue_px is not Base64") from None
    outer = parse_json(raw)
    if not isinstance(outer, dict) or not isinstance(outer.get("data"), dict):
        raise DataError("ue_pr holds no self-describing event")
    inner: dict[str, Any] = outer["data"]
    return inner


def _describe(item: dict[str, Any]) -> tuple[str, Any]:
    """Return the name of the schema and the data. The vendor may be anybody; of the version the MODEL counts."""
    found = _SCHEMA.fullmatch(str(item.get("schema"))[:500])
    if found is None:
        raise DataError("not the URI of a schema", found=ascii(item.get("schema"))[:80],
                        expected="iglu:com.activesel/operator_override/jsonschema/1-0-0")  # fmt: skip
    if int(found[3]) != MODEL:
        raise DataError("a version of this schema that is not read", found=f"{found[3]}-{found[4]}-{found[5]}",
                        expected=f"{MODEL}-x-x")  # fmt: skip
    return found[2], item.get("data")
