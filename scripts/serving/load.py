"""A load generator that costs little: HTTP/1.1 by hand over connections that stay open."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

BOUNDARY = "activesel-bench"


async def send(url: str, images: Sequence[bytes], concurrency: int, several: int) -> list[float]:
    """Send every image once, ``several`` a request, so many requests at a time; return the seconds of each request."""
    groups = [images[start : start + several] for start in range(0, len(images), several)]
    queue = iter([_request(group) for group in groups])
    latencies: list[float] = []

    async def one_line() -> None:
        reader, writer = await connect(url)
        for request in queue:
            began = time.perf_counter()
            writer.write(request)
            status, body = await read_answer(reader)
            latencies.append(time.perf_counter() - began)
            assert status == 200, (status, body)
        writer.close()

    await asyncio.gather(*(one_line() for _ in range(min(concurrency, len(groups)))))
    return latencies


def _request(group: Sequence[bytes]) -> bytes:
    if len(group) == 1:
        return post(group[0])
    parts = [
        b"--%s\r\ncontent-disposition: form-data; name=image\r\n\r\n%s\r\n" % (BOUNDARY.encode(), one) for one in group
    ]
    body = b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()
    return post(body, **{"content-type": f"multipart/form-data; boundary={BOUNDARY}"})


def post(body: bytes, **headers: str) -> bytes:
    lines = {"host": "127.0.0.1", "content-length": str(len(body)), "x-lot": "bench", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/predict HTTP/1.1\r\n{head}\r\n".encode() + body


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    assert place.hostname is not None
    return await asyncio.open_connection(place.hostname, place.port)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Return the status and the body of an answer whose length is told or that ends with its connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").lower()
    status = int(head.split(" ", 2)[1])
    length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:")), None)
    if "transfer-encoding: chunked" in head:
        length = None
    body = await (reader.readexactly(length) if length is not None else reader.read(65536))
    return status, body.decode("utf8", "replace")


def error_of(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body.split())
