"""Requests that no camera sends: each with the statuses that may answer it."""

from __future__ import annotations

import struct
import zlib

from tests.serving.toys import picture


def png_header(width: int, height: int, rows: bytes = b"") -> bytes:
    """Return a PNG that says it has these sizes, with a data chunk of ``rows``, deflated."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bad_bodies() -> dict[str, tuple[bytes, set[int]]]:
    """Return name -> body, statuses."""
    good = picture(200, "JPEG", (300, 200))
    return {
        "empty": (b"", {400}),
        "zero bytes": (bytes(4096), {415}),
        "random bytes": (bytes(range(256)) * 64, {415}),
        "text": (b"<html>hello</html>", {415}),
        "a script with a picture's name": (b"#!/bin/sh\nrm -rf /\n", {415}),
        "truncated jpeg header": (good[:20], {422}),
        **{f"a jpeg cut to {share:.0%}": (good[: int(len(good) * share)], {422}) for share in (0.3, 0.7, 0.99)},
        "truncated png": (picture(200, "PNG", (300, 200))[:60], {422}),
        "png of 60,000 x 60,000": (png_header(60_000, 60_000, bytes(1000)), {413}),
        "png of 0 x 0": (png_header(0, 0), {422}),
        "png without its pixels": (png_header(4000, 4000), {422}),
        "webp bomb": (b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4)
                      + b"\xff\xff\xff" * 2, {413}),
        "tiff of nothing": (b"II*\0" + bytes(8), {422}),
        "tiff that points into itself": (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1)
                                         + struct.pack("<HHII", 256, 4, 1 << 30, 8) + struct.pack("<I", 8), {422}),
        "bmp of negative width": (b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, -5, -5, 1, 24, 0, 0, 0, 0, 0, 0),
                                  {413, 422}),
        "gif": (b"GIF89a" + bytes(100), {415}),
        "jpeg of noise": (b"\xff\xd8\xff" + bytes(range(256)) * 16, {422}),
    }  # fmt: skip


MULTIPARTS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", b"--x\r\n\r\nhello\r\n--x--"),
    "no end": ("multipart/form-data; boundary=x", b"--x\r\n\r\nhello"),
    "no parts": ("multipart/form-data; boundary=x", b"--x--"),
    "no headers' end": ("multipart/form-data; boundary=x", b"--x\r\nhello\r\n--x--"),
    "a boundary of 500": (f"multipart/form-data; boundary={'b' * 500}", b"--x--"),
    "2,000 parts": ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n" * 2000 + b"--x--"),
    "broken header": ('multipart/form-data; boundary="', b"--x--"),
}
