"""Every format through one contract: the same event comes out, batches split, nothing hostile gets through or out."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.events import SCHEMAS, event_format_names, get_event_format, guess_event_format, read_payload
from activesel.events.reading import MOST_PAYLOAD, MOST_RAW
from activesel.records import Event
from tests.events.payloads import (
    BARE,
    BATCHES,
    CLOUDEVENT,
    DATA,
    MEASURED,
    NOW,
    SINGLES,
    TIME,
    TRACK,
    TRACKED,
    to_bytes,
)

IMAGE = {"image_id": "img0"}
LEAST: dict[str, dict[str, Any]] = {
    "image.captured": IMAGE,
    "prediction.made": {**IMAGE, "verdict": "crack"},
    "operator.override": {**IMAGE, "operator_verdict": "good"},
    "operator.confirm": {**IMAGE, "verdict": "crack"},
    "rework.result": {**IMAGE, "result": "no_fault_found"},
    "downstream.return": IMAGE,
    "label.created": {**IMAGE, "label": "crack", "annotator": "ann"},
    "label.adjudicated": {**IMAGE, "label": "crack", "expert": "eve"},
    "batch.selected": {"batch_id": "0003", "n_images": 100},
    "model.promoted": {"model_id": "abc"},
}


def read_one(value: Any, now: datetime = NOW) -> Event:
    read = read_payload(to_bytes(value), now)
    assert [one.reason for one in read.dead] == []
    (event,) = read.events
    return event


def why(value: Any) -> str:
    read = read_payload(value if isinstance(value, bytes) else to_bytes(value), NOW)
    assert read.events == ()
    (letter,) = read.dead
    return letter.reason


def changed(**fields: Any) -> dict[str, Any]:
    """An override as a CloudEvent with other data; None takes a field out."""
    data = {name: value for name, value in {**DATA, **fields}.items() if value is not None}
    return {**CLOUDEVENT, "subject": "", "data": data}


def test_every_format_has_a_payload_here() -> None:
    assert {name for name, *_ in SINGLES} == {name for name, _ in BATCHES} == set(event_format_names())


@pytest.mark.parametrize(("name", "payload", "source", "event_id"), SINGLES)
def test_the_same_event_comes_out_of_every_format(name: str, payload: Any, source: str, event_id: str | None) -> None:
    assert guess_event_format(payload).name == name
    event = read_one(payload)
    assert (event.source, event.type, event.image_id) == (source, "operator.override", "img0")
    assert event.id == event_id if event_id else event.id.startswith("sha256-")
    assert event.time == (TIME if payload is not BARE else event.received)
    kept = {name: value for name, value in event.data.items() if name != "event_id"}
    assert kept == DATA


@pytest.mark.parametrize(("name", "payload"), BATCHES)
def test_a_batch_is_split_and_one_bad_event_spoils_no_other(name: str, payload: Any) -> None:
    assert guess_event_format(payload).name == name
    read = read_payload(to_bytes(payload), NOW)
    assert len({event.id for event in read.events}) == 2
    assert read.dead == ()
    broken = copy.deepcopy(payload)
    items = broken if isinstance(broken, list) else next(broken[key] for key in ("batch", "data", "events")
                                                         if key in broken)  # fmt: skip
    items.insert(1, {"nonsense": 1})
    read = read_payload(to_bytes(broken), NOW, get_event_format(name))
    assert (len(read.events), len(read.dead)) == (2, 1)
    again = read_payload(read.dead[0].payload.encode(), NOW, get_event_format(read.dead[0].format))
    assert [one.reason for one in again.dead] == [read.dead[0].reason], (
        "a letter reads by itself as it did in the batch"
    )


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_type_is_read_with_the_least_and_not_without_it(kind: str) -> None:
    event = read_one({**CLOUDEVENT, "type": kind, "subject": "", "data": LEAST[kind]})
    assert (event.type, event.data) == (kind, LEAST[kind])
    assert why({**CLOUDEVENT, "type": kind, "subject": "", "data": {}}).startswith(f"{kind}: ")


@pytest.mark.parametrize(
    "spelling",
    ["operator.override", "com.activesel.operator.override.v1", "org.acme-2.operator.override", "Operator Override",
     "operator_override", " Operator_Override ", "Defect Override"],
)  # fmt: skip
def test_spellings_of_a_type(spelling: str) -> None:
    assert read_one({**CLOUDEVENT, "type": spelling}).type == "operator.override"


@pytest.mark.parametrize(
    "spelling", ["operator.overrides", "override", "x" * 300, "com.activesel.operator.override.v2"]
)
def test_what_is_no_type(spelling: str) -> None:
    assert "type" in why({**CLOUDEVENT, "type": spelling}) or "version" in why({**CLOUDEVENT, "type": spelling})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"time_to_decide_s": -1}, "time_to_decide_s"), ({"score": 1.5}, "score"), ({"score": "abc"}, "score"),
     ({"operator_verdict": ""}, "operator_verdict"), ({"operator_verdict": "crack"}, "operator.confirm"),
     ({"image_id": None}, "names no image"), ({"image_id": "x" * 257}, "image_id"), ({"image_id": "a\nb"}, "image_id"),
     ({"extra": {"deep": 1}}, "extra"), ({"extra": 1e300}, "extra"), ({"extra": 2**60}, "extra"),
     ({"extra": "x" * 2001}, "extra"), ({f"x{i}": i for i in range(65)}, "64 fields")],
)  # fmt: skip
def test_data_that_do_not_fit(fields: dict[str, Any], reason: str) -> None:
    assert reason in why(changed(**fields))


def test_extras_that_fit_are_kept() -> None:
    extras = {"mood": "fine", "belt": 3, "heat": 71.5, "wet": False, "gone": None}
    data = read_one({**CLOUDEVENT, "data": {**DATA, **extras}}).data
    assert {name: data[name] for name in extras if name != "gone"} == {k: v for k, v in extras.items() if k != "gone"}


def test_the_subject_names_the_image_where_the_data_do_not() -> None:
    assert read_one({**CLOUDEVENT, "subject": "img7", "data": {"operator_verdict": "good"}}).image_id == "img7"
    assert read_one({**CLOUDEVENT, "subject": "img7"}).image_id == "img0"
    by_prediction = read_one({**CLOUDEVENT, "subject": "", "data": {"operator_verdict": "good", "prediction_id": "p"}})
    assert (by_prediction.image_id, by_prediction.prediction_id) == ("", "p")


def test_a_path_stands_for_an_image_without_id() -> None:
    assert read_one(changed(image_id=None, image_path="line-3/a.png")).image_id == "line-3/a.png"


@pytest.mark.parametrize(("time", "reason"), [("yesterday", "not a moment"), ("1999-01-01", "cannot be"),
                                              ("2026-11-26T00:00:00Z", "cannot be"), (5, "not a moment")])  # fmt: skip
def test_times_that_cannot_be(time: Any, reason: str) -> None:
    assert reason in why({**CLOUDEVENT, "time": time})


def test_truth_may_come_late() -> None:
    event = read_one({**CLOUDEVENT, "time": "2019-01-01T00:00:00"}, NOW + timedelta(days=300))
    assert event.time.startswith("2019-01-01")
    assert event.received.startswith("2027")


def test_an_event_without_id_has_one_of_its_content() -> None:
    nameless = {name: value for name, value in CLOUDEVENT.items() if name != "id"}
    turned = dict(reversed(nameless.items()))
    assert read_one(nameless).id == read_one(turned, NOW + timedelta(hours=1)).id
    assert read_one(nameless).id != read_one({**nameless, "time": "2026-11-23T14:00:01Z"}).id


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b'{"specversion": "1.0", "specversion": "1.0"}', "stands twice"), (b"[NaN]", "no JSON"), (b"1e999", "large"),
     (b"9" * 100_000, "large"), (b"[" * 100_000, "levels"), (b"[" * 20 + b"]" * 20, "levels"), (b'"\\ud800"', "pair"),
     (b'"\\u0000"', "zero"), (b"\xff", "utf-8"), (b"", "not valid"), (b"{}", "no format"), (b"[]", "no format"),
     (b"7", "no format"), (b"null", "no format")],
)  # fmt: skip
def test_json_that_is_refused(value: bytes, reason: str) -> None:
    assert reason in why(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [({**CLOUDEVENT, "specversion": "0.3"}, "1.0"), ({**CLOUDEVENT, "source": ""}, "source"),
     ({**CLOUDEVENT, "source": "x" * 257}, "source"), ({**CLOUDEVENT, "data": "text"}, "no object"),
     ({**CLOUDEVENT, "datacontenttype": "text/xml"}, "not JSON"), ({**CLOUDEVENT, "data_base64": "%"}, "Base64"),
     ({**TRACK, "type": "identify", "event": 1}, ""), ({"type": "track", "event": "x"}, "userId"),
     ({"batch": 5, "event": "x"}, "not a list"), ({**TRACKED, "ue_pr": "{"}, "not valid JSON"),
     ({**TRACKED, "ue_pr": "[]"}, "self-describing"), ({**TRACKED, "dtm": "1e400"}, "time"),
     ({**TRACKED, "e": "pv"}, "self-describing"), ({**BARE, "schema": "iglu:a/b"}, "URI"),
     ({**BARE, "schema": "iglu:com.acme/operator_override/jsonschema/2-0-0"}, "version"),
     ({**MEASURED, "client_id": "", "app_instance_id": ""}, "client_id"), ({**MEASURED, "events": []}, "empty")],
)  # fmt: skip
def test_formats_refuse_with_a_reason(value: Any, reason: str) -> None:
    assert reason in why(value)


def test_base64_data_are_read() -> None:
    import base64

    encoded = base64.b64encode(to_bytes(DATA)).decode()
    event = read_one({**{k: v for k, v in CLOUDEVENT.items() if k != "data"}, "data_base64": encoded})
    assert event.data == DATA


def test_a_dead_letter_is_bounded() -> None:
    raw = read_payload(b"x" * 10**6, NOW).dead[0]
    assert len(raw.payload) == MOST_RAW
    long = read_payload(to_bytes({**CLOUDEVENT, "data": {"note": "x" * 10**6}}), NOW).dead[0]
    assert len(long.payload) <= MOST_PAYLOAD
    assert "cut from" in long.reason


@pytest.mark.parametrize("kind", SCHEMAS)
def test_schemas_are_draft_4_and_agree_with_the_models(kind: str) -> None:
    import jsonschema

    from activesel.events import describe_schema

    found = describe_schema(kind)
    assert found["self"] == {"vendor": "com.activesel", "name": kind.replace(".", "_"), "format": "jsonschema",
                             "version": "1-0-0"}  # fmt: skip
    plain = {name: value for name, value in found.items() if name != "$schema"}
    jsonschema.Draft4Validator.check_schema(plain)
    oracle = jsonschema.Draft4Validator(plain)
    for data in (LEAST[kind], {**LEAST[kind], "extra": 3}, {}, {**LEAST[kind], "line": ""},
                 {**LEAST[kind], "extra": {}}, {**LEAST[kind], "extra": "x" * 2001}):  # fmt: skip
        read = read_payload(to_bytes({**CLOUDEVENT, "type": kind, "subject": "", "data": data}), NOW)
        assert oracle.is_valid(data) == bool(read.events), (data, read.dead)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["1.0", "track", "ue", "operator_override", "iglu:a/operator_override/jsonschema/1-0-0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from([*CLOUDEVENT, *TRACK, *TRACKED, *MEASURED, *DATA, "batch", "schema", "params", "name"]),
        inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(JSON, st.sampled_from(SINGLES), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_an_event_or_a_dead_letter(
    junk: Any, single: tuple[str, dict[str, Any], str, str | None], data: st.DataObject
) -> None:
    name, payload, *_ = single
    key = data.draw(st.sampled_from(sorted(payload)))
    for value in (junk, {**payload, key: junk}):
        for fmt in (None, get_event_format(name)):
            read = read_payload(json.dumps(value).encode(), NOW, fmt)
            assert read.events or read.dead
            for event in read.events:
                json.dumps(event.data, allow_nan=False, ensure_ascii=False).encode()
                assert all(0 < len(text) <= 256 and "\0" not in text for text in (event.source, event.id))
                assert len(event.image_id) <= 256
            for letter in read.dead:
                letter.payload.encode()
                letter.reason.encode()


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_anything(raw: bytes) -> None:
    read = read_payload(raw, NOW)
    assert read.dead
    assert "\0" not in read.dead[0].payload
