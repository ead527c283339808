"""HTTP/1.1 for clients that nobody vouches for: uvicorn's, but it does not wait for ever for a request to begin."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_SLOW = b'{"error":"the headers did not arrive in time"}'
_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)


def patient_protocol(timeout_s: float) -> type[asyncio.Protocol]:
    """Return a protocol that answers 408 where the headers of a request take longer than that.

    uvicorn bounds only how long a connection may stay idle after an answer; a body is bounded by whoever reads it.
    """

    class Patient(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Run the clock while headers are awaited; what has begun to arrive does not wind it up again."""
            waits = self.conn.their_state is h11.IDLE
            if not waits and self._timer is not None:
                self._timer.cancel()
                self._timer = None
            elif waits and self._timer is None:
                self._timer = self.loop.call_later(timeout_s, self._give_up)

        def _give_up(self) -> None:
            if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
                return
            if self.conn.our_state is h11.IDLE:
                self.transport.write(_ANSWER)
            self.transport.close()

    return Patient
