"""HTTP/1.1 for clients that nobody vouches for: uvicorn's, with bounds on how long and how large a head may be."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 << 10  # of a request: its first line and headers
HEAD_S = 30.0  # for a head to arrive where nobody says otherwise


def patient_protocol(timeout_s: float = HEAD_S) -> type[asyncio.Protocol]:
    """Return a protocol that answers 408 where a head takes longer than that, and 431 where it is too long.

    The clock runs from the connection on, later from a head's first byte; what arrives does not wind it up again. How
    long a connection may lie idle is uvicorn's ``timeout_keep_alive``; a body is bounded by whoever reads it.
    """

    class Patient(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _in_head = True
        _head_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._start_clock()

        def data_received(self, data: bytes) -> None:
            self._head_bytes += len(data) if self._in_head else 0
            super().data_received(data)
            if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", b"the headers are too long")

        def on_message_begin(self) -> None:
            self._in_head = True
            self._start_clock()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head, self._head_bytes = False, 0
            self._stop_clock()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_clock()
            super().connection_lost(exc)

        def _start_clock(self) -> None:
            if self._timer is None:
                late = (b"408 Request Timeout", b"the headers did not arrive in time")
                self._timer = self.loop.call_later(timeout_s, self._refuse, *late)

        def _stop_clock(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _refuse(self, status: bytes, why: bytes) -> None:
            if self.transport.is_closing():
                return
            if self.cycle is None or self.cycle.response_complete:  # else it would stand in the midst of an answer
                body = b'{"error":"%s"}' % why
                self.transport.write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\n"
                                     b"content-length: %d\r\n\r\n%s" % (status, len(body), body))  # fmt: skip
            self.transport.close()

    return Patient
