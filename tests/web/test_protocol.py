"""What a stranger may do before there is a request: be slow, send heads without end, or no HTTP at all."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from activesel.web.protocol import MOST_HEAD_BYTES, patient_protocol

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"
LENGTH = b"content-length: 4\r\n\r\n"
Told = Callable[[bytes], Awaitable[None]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body, once it is there, and a while later where the path says so."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if message["type"] == "http.disconnect":
            return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.7)
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def connected(head_s: float = 0.3, body_s: float = math.inf) -> AsyncIterator[tuple[asyncio.StreamReader, Told]]:
    """A connection to a server of its own; what is sent with the second value need not arrive."""
    config = uvicorn.Config(echo, port=0, http=patient_protocol(head_s, body_s), log_level="critical", lifespan="off",
                            ws="none", timeout_keep_alive=30)  # fmt: skip
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send(content: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(content)
            await writer.drain()

    try:
        yield reader, send
    finally:
        writer.close()
        await server.shutdown()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(story(), 20)

    asyncio.run(bounded())


@pytest.mark.parametrize("said", [b"", b"PO", HEAD, HEAD + b"x: y"], ids=["nothing", "a method", "a header", "half"])
def test_a_head_that_does_not_come_is_answered_408(said: bytes) -> None:
    async def story() -> None:
        async with connected() as (reader, send):
            await send(said)
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")

    run(story)


def test_dripping_does_not_wind_the_clock_up() -> None:
    async def story() -> None:
        async with connected() as (reader, send):
            await send(HEAD + b"x: ")
            answer = asyncio.create_task(reader.read())
            while not answer.done():
                await send(b"y")
                await asyncio.sleep(0.05)
            assert answer.result().startswith(b"HTTP/1.1 408 ")

    run(story)


@pytest.mark.parametrize("form", [b"x%d: y\r\n", b"x"], ids=["many", "one"])
def test_a_head_without_end_is_answered_431_and_not_kept(form: bytes) -> None:
    async def story() -> None:
        async with connected(30) as (reader, send):
            await send(HEAD)
            answer, sent = asyncio.create_task(reader.readuntil(b"too long")), 0
            while not answer.done() and sent < 100 * MOST_HEAD_BYTES:
                piece = form % sent if b"%d" in form else form * 997
                await send(piece)
                sent += len(piece)
                await asyncio.sleep(0)
            assert (await answer).startswith(b"HTTP/1.1 431 ")
            assert sent < 20 * MOST_HEAD_BYTES, "it was kept"

    run(story)


def test_the_next_request_has_its_own_clock_and_an_idle_line_is_left_alone() -> None:
    async def story() -> None:
        async with connected() as (reader, send):
            for _ in range(2):
                await send(HEAD + LENGTH + b"abcd")
                assert b"abcd" in await reader.readuntil(b"abcd")
                await asyncio.sleep(0.5)  # longer than a head may take
            await send(HEAD)
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")

    run(story)


@pytest.mark.parametrize("rest", [b"", b"ab"], ids=["nothing", "half"])
def test_a_body_that_does_not_come_is_answered_408(rest: bytes) -> None:
    async def story() -> None:
        async with connected(30, 0.3) as (reader, send):
            await send(HEAD + LENGTH)
            await asyncio.sleep(0.1)
            await send(rest)
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")

    run(story)


def test_the_next_body_has_its_own_clock() -> None:
    async def story() -> None:
        async with connected(30, 0.3) as (reader, send):
            for _ in range(2):
                await send(HEAD + LENGTH + b"ab")
                await asyncio.sleep(0.1)
                await send(b"cd")
                assert b"abcd" in await reader.readuntil(b"abcd")
                await asyncio.sleep(0.5)  # longer than a body may take
            await send(HEAD + LENGTH + b"abc")
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")

    run(story)


def test_a_body_that_waits_for_an_earlier_answer_is_not_late() -> None:
    async def story() -> None:
        async with connected(30, 0.2) as (reader, send):
            slow = b"POST /slow HTTP/1.1\r\nhost: x\r\n" + LENGTH
            for piece in (slow + b"abcd", HEAD + LENGTH + b"ef", b"gh"):  # no more is read before the first answer
                await send(piece)
                await asyncio.sleep(0.1)
            answers = await reader.readuntil(b"efgh")
            assert answers.count(b"HTTP/1.1 200 ") == 2

    run(story)


def test_a_slow_body_is_somebody_elses_to_bound_where_no_time_is_given() -> None:
    async def story() -> None:
        async with connected() as (reader, send):
            await send(HEAD + LENGTH + b"ab")
            await asyncio.sleep(0.5)
            await send(b"cd")
            assert b"abcd" in await reader.readuntil(b"abcd")

    run(story)


def test_no_http_is_answered_400() -> None:
    async def story() -> None:
        async with connected() as (reader, send):
            await send(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")

    run(story)


def test_half_a_request_behind_one_under_way_does_not_spoil_its_answer() -> None:
    async def story() -> None:
        async with connected() as (reader, send):
            await send(HEAD + LENGTH + b"abcd" + HEAD)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.count(b"abcd") == 1

    run(story)
