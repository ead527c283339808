"""Reads a request's images within limits: one as the body, or several as multipart/form-data. Touches no file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message as Header

from starlette.requests import ClientDisconnect, Request

MOST_PARTS = 1024
MOST_NAME = 256
_PART_HEADER_BYTES = 8192
_LET_PASS_BYTES = 256 << 20


class Rejected(Exception):
    """A request that gets no prediction. status: HTTP's. retry_s: when to come again, 0 = better never."""

    def __init__(self, status: int, why: str, retry_s: int = 0) -> None:
        super().__init__(why)
        self.status, self.why, self.retry_s = status, why, retry_s


@dataclass(frozen=True, slots=True)
class Picture:
    """What was sent of one image. image_id: the line's own name of it, None = it gave none."""

    content: bytes
    image_id: str | None


class Room:
    """Bytes of requests that may be in memory at once, over all connections."""

    def __init__(self, n_bytes: int) -> None:
        self._free = n_bytes

    def take(self, n_bytes: int) -> None:
        """Raises:
        Rejected: there is no room for so many just now.
        """
        if n_bytes > self._free:
            raise Rejected(503, "too many bytes of requests are in memory already", retry_s=1)
        self._free -= n_bytes

    def give_back(self, n_bytes: int) -> None:
        self._free += n_bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. several: whether the answer is a list. n_bytes: of its body."""

    pictures: Sequence[Picture]
    lot: str | None
    station: str | None
    several: bool
    n_bytes: int


async def read_request(request: Request, room: Room, *, max_bytes: int, timeout_s: float) -> Asked:
    """Read what is asked; the caller gives the body's bytes back to ``room`` once they are judged.

    Raises:
        Rejected: too long, too slow, empty, or not in a form that is understood.
    """
    kind = request.headers.get("content-type", "")
    image_id, lot, station = (_name(request, key) for key in ("image_id", "lot", "station"))
    try:
        async with asyncio.timeout(timeout_s):
            body = await _read_body(request, room, max_bytes)
    except TimeoutError:
        raise Rejected(408, f"the request did not arrive within {timeout_s:g} s") from None
    except ClientDisconnect:
        raise Rejected(400, "the client went away") from None
    if kind.partition(";")[0].strip().lower() == "multipart/form-data":
        try:
            return Asked(split_parts(body, kind), lot, station, True, len(body))
        except Rejected:
            room.give_back(len(body))
            raise
    if not body:
        raise Rejected(400, "the body is empty; expected the bytes of one image, or multipart/form-data of several")
    return Asked([Picture(body, image_id)], lot, station, False, len(body))


async def _read_body(request: Request, room: Room, max_bytes: int) -> bytes:
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > max_bytes:
        await _let_pass(request, int(said))
        raise Rejected(413, f"{said} bytes; at most {max_bytes} are read")
    chunks: list[bytes] = []
    n_bytes, whole = 0, False
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                raise Rejected(413, f"more than {max_bytes} bytes; no more are read")
            room.take(len(chunk))
            chunks.append(chunk)
        whole = True
    finally:
        if not whole:
            room.give_back(sum(map(len, chunks)))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _let_pass(request: Request, n_bytes: int) -> None:
    """Throw away a body that is too long but not endless: a connection closed on a sender loses our answer."""
    if n_bytes <= _LET_PASS_BYTES:
        async for _ in request.stream():
            pass


def split_parts(body: bytes, content_type: str) -> list[Picture]:
    """Return the files of a multipart/form-data body (RFC 7578); a part's own X-Image-Id names it.

    A part's file name is not read: nothing of a request ever becomes a path.

    Raises:
        Rejected: it is not one.
    """
    boundary = _boundary(content_type)
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Rejected(400, "not multipart/form-data: no parts, or no end")
    if len(pieces) - 2 > MOST_PARTS:
        raise Rejected(413, f"{len(pieces) - 2} parts; at most {MOST_PARTS} are read")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Picture:
    head, gap, content = piece.partition(b"\r\n\r\n")
    if not gap or len(head) > _PART_HEADER_BYTES:
        raise Rejected(400, "a part of the multipart/form-data has no end of its headers")
    lines = head.decode("utf8", "replace").split("\r\n")[1:]
    headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return Picture(content, check_name("X-Image-Id", headers.get("x-image-id")))


def _boundary(content_type: str) -> bytes:
    header = Header()
    header["content-type"] = content_type
    found = header.get_param("boundary")
    if not isinstance(found, str) or not re.fullmatch(r"[\x20-\x7e]{1,70}", found):
        raise Rejected(400, "multipart/form-data without a boundary of 1 to 70 characters")
    return found.encode()


def _name(request: Request, key: str) -> str | None:
    """Return what the query, or else a header such as X-Image-Id, says."""
    given = request.query_params.get(key) if request.scope["query_string"] else None
    header = f"x-{key.replace('_', '-')}"
    return check_name(key, given if given is not None else request.headers.get(header))


def check_name(key: str, value: str | None) -> str | None:
    if value is None or value == "":
        return None
    if len(value) > MOST_NAME or not value.isprintable():
        raise Rejected(400, f"{key}: expected 1 to {MOST_NAME} printable characters")
    return value


def plain_error(why: str, **more: str) -> Mapping[str, str]:
    """Return the body of an answer that is none, in one line, whatever the text holds."""
    return {"error": " ".join(why.encode("utf8", "backslashreplace").decode().split()), **more}
