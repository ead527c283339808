"""From a parsed payload of any format to events whose data are checked, and dead letters for the rest."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from activesel.errors import DataError
from activesel.events.registry import Draft, EventFormat, guess_event_format
from activesel.events.schemas import MODEL, SCHEMAS, OfImage
from activesel.events.strict_json import parse_json, to_text
from activesel.records import DeadLetter, Event

MOST_PAYLOAD = 64 << 10  # characters of a dead letter's payload that are kept; longer ones are cut, and stay dead
MOST_RAW = 4 << 10  # of one that is no JSON, or too long to be one of ours
_LONGEST_WORD = 256
_AHEAD = timedelta(days=1)  # that the line's clock may be before ours; more is a mistake
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_TYPE = re.compile(r"(?:[a-z0-9.-]+\.)?(" + "|".join(map(re.escape, SCHEMAS)) + r")(?:\.v(\d{1,4}))?")
# What people call an override on a line (the example of Segment's track call in docs/events.md).
_ALSO = {"defect.override": "operator.override"}


@dataclass(frozen=True)
class Read:
    """What one payload held."""

    events: tuple[Event, ...] = ()
    dead: tuple[DeadLetter, ...] = ()


def read_payload(raw: bytes, received: datetime, fmt: EventFormat | None = None) -> Read:
    """Read a JSON text that holds one event or a batch; what is no event becomes a dead letter, never an error.

    fmt: None to go by the content. received: aware.
    """
    try:
        value = parse_json(raw)
        fmt = fmt or guess_event_format(value)
    except DataError as error:
        return Read(dead=(bury(raw, fmt.name if fmt else "unknown", str(error), received),))
    return read_value(value, received, fmt)


def read_value(value: Any, received: datetime, fmt: EventFormat) -> Read:
    """Read a parsed value of a known format; what is no event becomes a dead letter."""
    try:
        items = fmt.split(value)
        if not items:
            raise DataError("an empty batch")
    except DataError as error:
        return Read(dead=(_bury_item(value, fmt.name, str(error), received),))
    events, dead = [], []
    for item in items:
        try:
            events.append(finish(fmt.read(item), item, received))
        except DataError as error:
            dead.append(_bury_item(item, fmt.name, str(error), received))
    return Read(tuple(events), tuple(dead))


def finish(draft: Draft, item: Any, received: datetime) -> Event:
    """Check a draft and return the event. item: what it was read from; an event without an id gets one of its content.

    Raises:
        DataError: it is no event of ours; says why.
    """
    kind = find_type(draft.type)
    if not isinstance(draft.data, dict):
        raise DataError("data are no object", found=type(draft.data).__name__)
    data = _check(kind, _about(draft, kind))
    event_id = as_word(draft.id, "id") if draft.id not in ("", None) else derive_id(item)
    return Event(
        as_word(draft.source, "source"), event_id, kind, data.get("image_id") or data.get("image_path", ""),
        data.get("prediction_id", ""), to_utc(draft.time, received), _write_time(received), data,
    )  # fmt: skip


def find_type(text: object) -> str:
    """Return which of our types is meant by "com.activesel.operator.override.v1", "Operator Override" and their like.

    Raises:
        DataError: none, or a version that is not read.
    """
    if not isinstance(text, str) or len(text) > _LONGEST_WORD:
        raise DataError("type is not a text", found=type(text).__name__ if not isinstance(text, str) else "a long one")
    return _find_type(text)


@functools.lru_cache(maxsize=256)
def _find_type(text: str) -> str:
    plain = re.sub(r"[ _]+", ".", text.strip().lower())
    found = _TYPE.fullmatch(_ALSO.get(plain, plain))
    if found is None:
        raise DataError("not a type of event", found=ascii(text[:80]), hint="`activesel events schema` lists them")
    if found[2] is not None and int(found[2]) != MODEL:
        raise DataError("a version of this event that is not read", found=f"v{found[2]}", expected=f"v{MODEL}")
    return found[1]


def derive_id(item: Any) -> str:
    """Return an id that follows from an event's content, so that the same event sent twice is one all the same."""
    text = json.dumps(item, sort_keys=True, separators=(",", ":"))
    return "sha256-" + hashlib.sha256(text.encode()).hexdigest()[:40]


def as_word(value: object, what: str) -> str:
    """Return a short text, without the spaces around it; a whole number counts as its digits.

    Raises:
        DataError: it is none, empty, too long, or holds characters that are none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise DataError(f"{what} is not a text", found=type(value).__name__)
    word = value.strip()
    if not word or len(word) > _LONGEST_WORD or _UNFIT.search(word):
        raise DataError(f"{what} does not fit", found=ascii(word[:80]), expected=f"1 to {_LONGEST_WORD} characters")
    return word


def to_utc(value: object, received: datetime) -> str:
    """Return a moment in UTC; that of receiving where there is none. A text without zone is UTC.

    Raises:
        DataError: it is no moment in ISO 8601, or one that cannot be.
    """
    if value is None or value == "":
        return _write_time(received)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(as_word(value, "time"))
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise DataError("time is not a moment", found=ascii(value)[:80], expected="2026-01-31T12:00:00Z") from None
    if not _EARLIEST <= moment <= received + _AHEAD:
        raise DataError("time cannot be", found=moment.isoformat(), expected="from 2000 to a day after now")
    return _write_time(moment)


def from_epoch(value: object, per_second: int) -> datetime | None:
    """Return the moment that a number since 1970 means, a text of digits too; None for none.

    Raises:
        DataError: it is no such number.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 24:
            raise ValueError
        return datetime.fromtimestamp(float(value) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        raise DataError("time is not a number since 1970", found=ascii(value)[:80]) from None


def bury(raw: bytes, format_name: str, reason: str, received: datetime) -> DeadLetter:
    """Return the dead letter of bytes that are no JSON, cut where they are long."""
    text = raw[:MOST_RAW].decode("utf8", "backslashreplace").replace("\0", "\\0")
    return DeadLetter(format_name, _cut(reason), _write_time(received), text)


def _bury_item(item: Any, format_name: str, reason: str, received: datetime) -> DeadLetter:
    text = to_text(item)
    if len(text) > MOST_PAYLOAD:
        reason, text = f"{reason}; cut from {len(text)} characters", text[:MOST_RAW]
    return DeadLetter(format_name, _cut(reason), _write_time(received), text)


def _cut(reason: str) -> str:
    return " ".join(reason.split()).encode("utf8", "backslashreplace").decode()[:500]


def _about(draft: Draft, kind: str) -> Mapping[str, Any]:
    """Let the subject name the image where the data name none."""
    data = draft.data
    assert isinstance(data, dict)
    model = SCHEMAS[kind]
    if draft.subject and issubclass(model, OfImage) and not any(data.get(name) for name in model.named_by):
        return {**data, "image_id": draft.subject}
    return data


def _check(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        checked = SCHEMAS[kind].model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:80] for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise DataError(f"{kind}: {ascii(where)[1:-1] + ': ' if where else ''}{message}") from None
    fields = checked.model_dump(exclude_none=True)
    for name in ("image_id", "image_path", "prediction_id"):
        if name in fields:
            fields[name] = as_word(fields[name], name)
    return fields


def _write_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
