"""The same override as each format sends it, and what is wrong with it in as many ways."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DATA = {"image_id": "img0", "model_verdict": "crack", "operator_verdict": "good", "time_to_decide_s": 2.5, "line": "L3"}
TIME = "2026-11-23T14:00:00.000000+00:00"
MICROS = 1795442400000000

CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0", "type": "com.activesel.operator.override.v1", "source": "/plant1/line3", "id": "01J",
    "time": "2026-11-23T14:00:00Z", "subject": "img0", "datacontenttype": "application/json", "data": DATA,
}  # fmt: skip
TRACK: dict[str, Any] = {
    "type": "track", "event": "Operator Override", "userId": "op-17", "messageId": "m-1",
    "timestamp": "2026-11-23T15:00:00+01:00", "context": {"line": "L3", "library": {"name": "x"}},
    "properties": {name: value for name, value in DATA.items() if name != "line"},
}  # fmt: skip
BARE: dict[str, Any] = {"schema": "iglu:com.acme/operator_override/jsonschema/1-0-2", "data": DATA}
INNER = {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", "data": BARE}
TRACKED: dict[str, Any] = {"e": "ue", "eid": "u-1", "dtm": str(MICROS // 1000), "aid": "line3", "p": "srv",
                           "ue_pr": json.dumps(INNER)}  # fmt: skip
ENCODED: dict[str, Any] = {
    **{name: value for name, value in TRACKED.items() if name != "ue_pr"},
    "ue_px": base64.urlsafe_b64encode(json.dumps(INNER).encode()).decode().rstrip("="),
}
MEASURED: dict[str, Any] = {
    "client_id": "line3.7", "timestamp_micros": str(MICROS),
    "events": [{"name": "operator_override", "params": {**DATA, "event_id": "g-1"}}],
}  # fmt: skip

# format, payload, source, id of the event in it; None where the id follows from the content
SINGLES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("cloudevents", CLOUDEVENT, "/plant1/line3", "01J"),
    ("segment", TRACK, "segment", "m-1"),
    ("snowplow", BARE, "snowplow", None),
    ("snowplow", TRACKED, "snowplow/line3", "u-1"),
    ("snowplow", ENCODED, "snowplow/line3", "u-1"),
    ("ga4", MEASURED, "ga4/line3.7", "g-1"),
]
BATCHES: list[tuple[str, Any]] = [
    ("cloudevents", [CLOUDEVENT, {**CLOUDEVENT, "id": "02"}]),
    ("segment", {"batch": [TRACK, {**TRACK, "messageId": "m-2"}], "sentAt": "2026-11-23T14:00:00Z"}),
    ("snowplow", {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
                  "data": [TRACKED, {**ENCODED, "eid": "u-2"}]}),
    ("ga4", {**MEASURED, "events": [MEASURED["events"][0],
                                    {"name": "operator_override", "params": {**DATA, "event_id": "g-2"}}]}),
]  # fmt: skip


def to_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()
