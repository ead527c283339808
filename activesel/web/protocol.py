"""HTTP/1.1 for clients that nobody vouches for: uvicorn's, with bounds on how long a request takes to arrive."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10  # of a request: its first line and headers
HEAD_S = BODY_S = 30.0  # for a head to arrive where nobody says otherwise, and for a body


class PatientProtocol(HttpToolsProtocol):
    """Answers 408 where a head or a body takes too long to arrive, and 431 where a head is too long.

    The clock of a head runs from the connection on, later from its first byte; that of a body from the end of its
    head. What arrives winds neither up again, and a request that comes in one piece costs no clock. How long a
    connection may lie idle is uvicorn's ``timeout_keep_alive``; how large a body may be, whoever reads it says.
    """

    head_s = HEAD_S
    body_s = math.inf
    _part = "head"  # what is on its way: head, body, or nothing between a request and the next
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data) if self._part == "head" else 0
        super().data_received(data)
        if self._part:  # there is more to come
            self._start_clock()
        if self._part == "head" and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", b"the headers are too long")

    def on_message_begin(self) -> None:
        self._part = "head"
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._turn_to("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._turn_to("")
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._turn_to("")
        super().connection_lost(exc)

    def _turn_to(self, part: str) -> None:
        self._part, self._head_bytes = part, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_clock(self) -> None:
        seconds = self.head_s if self._part == "head" else self.body_s
        if self._timer is None and seconds < math.inf:
            self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self._part == "body" and self.pipeline:  # not read, since an earlier request is still under way
            self._start_clock()
            return
        what = b"headers" if self._part == "head" else b"body"
        self._refuse(b"408 Request Timeout", b"the %s did not arrive in time" % what)

    def _refuse(self, status: bytes, why: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._awaits_answer():
            body = b'{"error":"%s"}' % why
            self.transport.write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\n"
                                 b"content-length: %d\r\n\r\n%s" % (status, len(body), body))  # fmt: skip
        self.transport.close()

    def _awaits_answer(self) -> bool:
        """Tell whether an answer would be to what is arriving, and not stand in the midst of another."""
        if self._part == "body":
            return not self.cycle.response_started
        return self.cycle is None or self.cycle.response_complete


def patient_protocol(head_s: float = HEAD_S, body_s: float = math.inf) -> type[asyncio.Protocol]:
    """Return a protocol that waits so long for heads and bodies."""
    return type("Patient", (PatientProtocol,), {"head_s": head_s, "body_s": body_s})
