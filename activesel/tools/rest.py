"""JSON over HTTP to a tool's server: time limits, retries with growing pauses, bounded answers, plain complaints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from activesel.errors import DataError, UnreachableError, UsageError

_TIMEOUT = httpx.Timeout(120, connect=10)  # seconds; an import of a thousand tasks takes one
_N_TRIES = 5
_LONGEST_PAUSE_S = 30.0
_BUSY = {429, 502, 503, 504}  # the server says that it did nothing yet, or a proxy that nobody was there
_MOST_BYTES = 1 << 29  # of one answer; a page of tasks has a thousandth of it


class MaybeDoneError(Exception):
    """The connection broke after a request that must not be sent twice; look whether it was carried out."""


class Rest:
    """Requests to one server. transport and sleep are the seams that tests use."""

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise UsageError("not the address of a server", where="--url", found=repr(url), expected="http://HOST:PORT")
        self._client = httpx.Client(timeout=_TIMEOUT, transport=transport)
        self._sleep = sleep

    def close(self) -> None:
        self._client.close()

    def send(
        self, method: str, path: str, headers: Mapping[str, str], *, repeatable: bool = True, **content: Any
    ) -> tuple[int, Any]:
        """Send a request and return the status and what its JSON says (None where it is none).

        content: httpx's params, json or files. Busy servers are asked again, and broken connections where the request
        is ``repeatable``.

        Raises:
            UnreachableError: no answer, or only errors, after five tries. MaybeDoneError: broken, not repeatable.
        """
        found = ""
        for i in range(_N_TRIES):
            pause = min(0.5 * 2**i, _LONGEST_PAUSE_S)
            try:
                status, body, wait = self._send_once(method, path, headers, content)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                found = str(error) or type(error).__name__
            except httpx.TransportError as error:
                if not repeatable:
                    raise MaybeDoneError(str(error) or type(error).__name__) from None
                found = str(error) or type(error).__name__
            except httpx.InvalidURL as error:
                raise UsageError("not the address of a server", where="--url", found=str(error)) from None
            else:
                if status < 500 and status != 429:
                    return status, body
                if not repeatable and status not in _BUSY:
                    raise MaybeDoneError(f"status {status}")
                found, pause = f"status {status}", max(pause, min(wait, _LONGEST_PAUSE_S))
            if i + 1 < _N_TRIES:
                self._sleep(pause)
        raise UnreachableError("the server does not answer", where=self.url, found=found,
                               hint="start it or mend --url, then run the same command again")  # fmt: skip

    def _send_once(
        self, method: str, path: str, headers: Mapping[str, str], content: Mapping[str, Any]
    ) -> tuple[int, Any, float]:
        with self._client.stream(method, self.url + path, headers=dict(headers), **content) as response:
            parts, n_bytes = [], 0
            for part in response.iter_bytes():
                n_bytes += len(part)
                if n_bytes > _MOST_BYTES:
                    raise DataError("the server's answer is too large", where=self.url + path,
                                    expected=f"at most {_MOST_BYTES >> 20} MiB")  # fmt: skip
                parts.append(part)
            wait = response.headers.get("retry-after", "")
            return response.status_code, _parse(b"".join(parts)), float(wait) if wait.isdigit() else 0.0


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
