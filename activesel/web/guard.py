"""Who may ask: tokens of people, proof that a request comes from our own page, names of this machine, size limits.

Nothing here knows what is served.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 512 * 1024  # an answer with 200 polygons of 50 corners has about 200 kB
TOKEN_BYTES = 32
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True)
class People:
    """Everybody who may take part, by the secret that their link holds. cookie: the name it has in the browser."""

    tokens: Mapping[str, str]
    cookie: str

    @classmethod
    def invite(cls, names: Sequence[str], port: int) -> People:
        """Make everybody a new token. Cookies are shared by all ports of a machine, so the name has the port."""
        return cls({secrets.token_urlsafe(TOKEN_BYTES): name for name in names}, f"activesel-review-{port}")

    def find(self, token: str | None) -> str | None:
        """Return whose token it is; every one is compared, in constant time, so that the time says nothing."""
        given, found = (token or "").encode("utf8", "replace"), None
        for known, name in self.tokens.items():
            if hmac.compare_digest(known.encode(), given):
                found = name
        return found


def csrf_of(token: str) -> str:
    """Return what a page must send beside the cookie: it follows from the token and does not give it away."""
    return hmac.new(token.encode(), b"activesel review: request from its own page", hashlib.sha256).hexdigest()


def is_own_request(headers: Headers, token: str) -> bool:
    """Tell whether a POST comes from a page that we served to the token's owner."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or (origin is not None and urlsplit(origin).netloc != headers.get("host")):
        return False
    return hmac.compare_digest(headers.get("x-csrf-token", "").encode("utf8", "replace"), csrf_of(token).encode())


def is_own_host(value: str, bound_to: str) -> bool:
    """Tell whether a Host header names this machine, so that a stranger's name bound to our address gets nothing.

    Bound to a loopback address: loopback addresses and localhost. Else any address, and this machine's names.
    """
    host = urlsplit(f"//{value}").hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = {"localhost", bound_to.lower()}
        return host in (names if is_loopback(bound_to) else names | {socket.gethostname().lower(), socket.getfqdn()})
    return address.is_loopback or not is_loopback(bound_to)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Refuses foreign hosts and large bodies before anything reads them, and adds the security headers to all."""

    def __init__(self, app: ASGIApp, bound_to: str) -> None:
        self._app = app
        self._bound_to = bound_to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal, body = await self._look(Headers(scope=scope), scope["method"], receive)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, _replay(body, receive), send_guarded)

    async def _look(self, headers: Headers, method: str, receive: Receive) -> tuple[PlainTextResponse | None, bytes]:
        try:
            own = is_own_host(headers.get("host", ""), self._bound_to)
        except ValueError:
            own = False
        if not own:
            return PlainTextResponse("this host is not served here\n", 421), b""
        if method in ("GET", "HEAD"):
            return None, b""
        body = b""
        if int(headers.get("content-length", "0") or 0) <= MAX_BODY_BYTES:
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES or not message.get("more_body", False):
                    break
            if len(body) <= MAX_BODY_BYTES:
                return None, body
        return PlainTextResponse("too large\n", 413, {"connection": "close"}), b""


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that has been read, then whatever follows."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
