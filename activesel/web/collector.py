"""The collector's routes: from a request to a record of the log, and an answer only once the disk has it."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from activesel.errors import DataError
from activesel.events import SCHEMAS, Read, describe_schema, get_event_format, read_payload, read_value, schema_path
from activesel.events.cloudevents import from_binary_mode, is_json_type
from activesel.events.commit import CommitError, GroupCommit
from activesel.events.drain import Drained
from activesel.events.log import EventLog, encode
from activesel.events.reading import bury
from activesel.events.strict_json import parse_json

MOST_EVENTS = 5000  # in one request; each that is none would make a dead letter far longer than itself
_MOST_TOLD = 20  # refused events that an answer tells of
_RETRY_S = "2"


class Refusal(Exception):
    """A request that is not read, and why."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, dict(headers or {})


@dataclass
class Collector:
    """What the routes share. max_*: in bytes. counts: answers by status; events by what became of them."""

    log: EventLog
    commit: GroupCommit
    drained: Drained
    token: str
    max_body: int
    max_waiting: int
    max_backlog: int
    waiting: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    commit_s: float = 0.0

    def check_token(self, request: Request) -> None:
        """Want the token, as a Bearer, as the user name of Basic (Segment's write key), or as GA4's api_secret."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                given = ""
        elif kind.lower() != "bearer":
            given = request.query_params.get("api_secret", "") if request.url.path == "/mp/collect" else ""
        if not hmac.compare_digest(given.strip().encode("utf8", "replace"), self.token.encode()):
            raise Refusal(401, "the token is missing or wrong", {"www-authenticate": "Bearer"})

    def take_up(self, n_bytes: int) -> None:
        """Make room for so many bytes of a request, to be given back."""
        if self.log.backlog_bytes > self.max_backlog:
            raise Refusal(503, "the catalog does not keep up", {"retry-after": _RETRY_S})
        if self.waiting + n_bytes > self.max_waiting:
            raise Refusal(503, "too much at once", {"retry-after": _RETRY_S})
        self.waiting += n_bytes

    async def keep(self, read: Read) -> None:
        """Return once the disk has what was read."""
        began = time.perf_counter()
        try:
            await self.commit.put(encode(read))
        except CommitError as error:
            raise Refusal(503, f"cannot be written: {error}", {"retry-after": _RETRY_S}) from None
        self.commit_s += time.perf_counter() - began
        self.counts["accepted"] += len(read.events)
        self.counts["rejected"] += len(read.dead)


Parse = Callable[[bytes, Request, datetime], Read]
Endpoint = Callable[[Request], Awaitable[Response]]


def create_collector(
    collector: Collector, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]
) -> ASGIApp:
    """Return the application; lifespan: starts and ends what drains the log."""
    posts = {
        "/v1/events": _parse_cloudevents,
        **dict.fromkeys(("/v1/track", "/v1/batch", "/v1/segment/track", "/v1/segment/batch"), _parse_as("segment")),
        "/com.snowplowanalytics.snowplow/tp2": _parse_as("snowplow"),
        "/mp/collect": _parse_as("ga4"),
    }
    endpoints = {path: _endpoint(collector, parse) for path, parse in posts.items()}
    routes = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()),
        Route("/health", lambda request: _tell_health(collector, request)),
        Route("/metrics", lambda request: _tell_metrics(collector, request)),
        Route("/schemas/{path:path}", _tell_schema),
    ]
    return _take_short_cut(endpoints, Starlette(routes=routes, lifespan=lifespan))


def _take_short_cut(endpoints: Mapping[str, Endpoint], app: ASGIApp) -> ASGIApp:
    """Let events past the application's router and middleware, which take a quarter of a request's time."""

    async def receive_or_ask(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = endpoints.get(scope["path"]) if scope.get("method") == "POST" else None
        if endpoint is None:
            await app(scope, receive, send)
            return
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return receive_or_ask


def _endpoint(collector: Collector, parse: Parse) -> Endpoint:
    async def receive(request: Request) -> Response:
        try:
            response = await _receive(collector, parse, request)
        except Refusal as refusal:
            # What was not read of the body would be taken for the next request.
            headers = {**refusal.headers, "connection": "close"}
            response = JSONResponse({"error": refusal.why}, refusal.status, headers)
        collector.counts[f"status {response.status_code}"] += 1
        return response

    return receive


async def _receive(collector: Collector, parse: Parse, request: Request) -> Response:
    collector.check_token(request)
    room = _announced(request, collector.max_body)
    collector.take_up(room)
    try:
        body = _unpack(await _read_body(request, room), request, collector.max_body)
        read = parse(body, request, datetime.now(UTC))
        if len(read.events) + len(read.dead) > MOST_EVENTS:
            raise Refusal(413, f"more than {MOST_EVENTS} events in one request")
        await collector.keep(read)
    except ClientDisconnect:
        raise Refusal(400, "the sender went away") from None
    finally:
        collector.waiting -= room
    return _answer(read)


def _announced(request: Request, most: int) -> int:
    """Return the bytes that the body takes, the most it may where the sender does not say."""
    text = request.headers.get("content-length")
    length = most if text is None else int(text) if text.isdecimal() and len(text) < 16 else most + 1
    if length > most:
        raise Refusal(413, f"the body is larger than {most} bytes")
    return length


async def _read_body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refusal(413, f"the body is larger than {most} bytes")
    return bytes(body)


def _unpack(body: bytes, request: Request, most: int) -> bytes:
    kind = request.headers.get("content-encoding", "identity").lower()
    if kind == "identity":
        return body
    if kind != "gzip":
        raise Refusal(415, "this encoding is not read; gzip is")
    try:
        machine = zlib.decompressobj(wbits=31)
        unpacked = machine.decompress(body, most + 1)
    except zlib.error:
        raise Refusal(400, "the gzip is damaged") from None
    if len(unpacked) > most:
        raise Refusal(413, f"the body is larger than {most} bytes once unpacked")
    return unpacked


def _parse_cloudevents(body: bytes, request: Request, received: datetime) -> Read:
    fmt = get_event_format("cloudevents")
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        lines = [read_payload(line, received, fmt) for line in body.splitlines()[: MOST_EVENTS + 1] if line.strip()]
        return Read(tuple(e for one in lines for e in one.events), tuple(d for one in lines for d in one.dead))
    if kind and not is_json_type(kind):
        raise Refusal(415, "not JSON: application/cloudevents+json, application/cloudevents-batch+json, "
                           "application/json, or application/x-ndjson")  # fmt: skip
    if "ce-specversion" not in request.headers:
        return read_payload(body, received, fmt)
    try:
        return read_value(from_binary_mode(request.headers, parse_json(body)), received, fmt)
    except DataError as error:
        return Read(dead=(bury(body, fmt.name, str(error), received),))


def _parse_as(name: str) -> Parse:
    return lambda body, _request, received: read_payload(body, received, get_event_format(name))


def _answer(read: Read) -> Response:
    """Tell what became of each; 400 where nothing was an event, so that no sender takes it for done."""
    if not read.dead:
        return Response(b'{"accepted":%d}' % len(read.events), media_type="application/json")
    told = {"accepted": len(read.events), "rejected": len(read.dead),
            "reasons": [one.reason for one in read.dead[:_MOST_TOLD]]}  # fmt: skip
    return JSONResponse(told, 200 if read.events else 400)


def _tell_health(collector: Collector, _request: Request) -> Response:
    """503 while the catalog cannot be written: events are taken all the same, as long as there is room."""
    complaint = collector.drained.complaint
    told = {"status": "waiting" if complaint else "ok", "backlog_bytes": collector.log.backlog_bytes}
    return JSONResponse({**told, **({"complaint": complaint} if complaint else {})}, 503 if complaint else 200)


def _tell_metrics(collector: Collector, _request: Request) -> Response:
    """In Prometheus' text format."""
    counts, drained = collector.counts, collector.drained
    values = {
        "accepted_total": counts["accepted"], "rejected_total": counts["rejected"], "drained_total": drained.n_events,
        "stored_total": drained.n_new, "dead_letters_total": drained.n_dead, "commits_total": collector.commit.n_groups,
        "commit_wait_seconds_total": f"{collector.commit_s:.6f}",
        "backlog_bytes": collector.log.backlog_bytes, "waiting_bytes": collector.waiting,
    }  # fmt: skip
    lines = [f"activesel_events_{name} {value}" for name, value in values.items()]
    lines += [f'activesel_events_requests_total{{status="{name.removeprefix("status ")}"}} {n}'
              for name, n in sorted(counts.items()) if name.startswith("status ")]  # fmt: skip
    return PlainTextResponse("\n".join(lines) + "\n")


def _tell_schema(request: Request) -> Response:
    """As a static Iglu registry."""
    found = {schema_path(kind): kind for kind in SCHEMAS}.get(request.path_params["path"])
    if found is None:
        return JSONResponse({"error": "no such schema"}, 404)
    return Response(json.dumps(describe_schema(found)), media_type="application/json")
