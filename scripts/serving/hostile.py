"""Requests that no camera sends, over real connections; each must be answered with a status of the client's fault."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.serving.load import connect, error_of, post, read_answer
from tests.serving.hostile import MULTIPARTS, bad_bodies

_WAIT_S = 60
_HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\n"


@dataclass(frozen=True)
class Outcome:
    """status: 0 where no answer came."""

    name: str
    status: int
    said: str


async def attack(url: str, good: bytes) -> list[Outcome]:
    """Send everything, one after the other, a good image after each that must still be judged."""
    outcomes = []
    for name, send in _attacks(good).items():
        outcomes.append(await _ask(url, name, send))
        after = await _ask(url, "good", lambda writer: _write(writer, post(good)))
        assert after.status == 200, (name, after)
    return outcomes


Send = Callable[[asyncio.StreamWriter], Awaitable[None]]


def _attacks(good: bytes) -> dict[str, Send]:
    raw = {name: post(body) for name, (body, _) in bad_bodies().items()}
    raw |= {f"multipart: {name}": post(body, **{"content-type": kind}) for name, (kind, body) in MULTIPARTS.items()}
    raw |= {f"a tile cut to {share:.0%}": post(good[: int(len(good) * share)]) for share in (0.1, 0.5, 0.9)}
    rng = random.Random(0)
    raw |= {f"random bytes {i}": post(rng.randbytes(20_000)) for i in range(3)}
    megabyte = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))
    raw |= {
        "oversized": post(bytes(40_000_000)),
        "oversized without its length": _HEAD + b"transfer-encoding: chunked\r\n\r\n" + megabyte * 40 + b"0\r\n\r\n",
        "a header of 100 kB": post(good, **{"x-big": "x" * 100_000}),
        "a lot of 300 characters": post(good, **{"x-lot": "x" * 300}),
        "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "a length that is none": _HEAD + b"content-length: -5\r\n\r\n",
        "another host": post(good).replace(b"host: 127.0.0.1", b"host: evil.example"),
        "a path out of the folder": b"GET /../../etc/passwd HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        "a method that is none": b"BREW /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    }  # fmt: skip
    sends: dict[str, Send] = {name: functools.partial(_write_all, content) for name, content in raw.items()}
    return sends | {"slow loris: headers": _drip_headers, "slow loris: body": lambda writer: _drip_body(writer, good)}


async def _ask(url: str, name: str, send: Send) -> Outcome:
    reader, writer = await connect(url)
    sending = asyncio.ensure_future(send(writer))
    try:
        status, body = await asyncio.wait_for(read_answer(reader), _WAIT_S)
        return Outcome(name, status, error_of(body))
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
        return Outcome(name, 0, type(error).__name__)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def _write_all(content: bytes, writer: asyncio.StreamWriter) -> None:
    await _write(writer, content)


async def _write(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(content)
    await writer.drain()


async def _drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD)
    while True:
        await _write(writer, b"x-a: b\r\n")
        await asyncio.sleep(0.5)


async def _drip_body(writer: asyncio.StreamWriter, good: bytes) -> None:
    await _write(writer, post(good)[: -len(good)])
    for byte in good:
        await _write(writer, bytes([byte]))
        await asyncio.sleep(0.5)
