"""JSON texts of a file of events, one by one: a line each, or a whole document; gzip or not. Reads no event."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from activesel.errors import DataError
from activesel.events.strict_json import parse_json

MOST_TEXT = 32 << 20  # bytes of one line or document: what is held at a time
MOST_UNPACKED = 64 << 30  # bytes of a file once unpacked; a small one may unpack without end
_PIECE = 1 << 16


def read_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each JSON text with its place, "line-3.ndjson:7". A line that is too long comes as its beginning.

    A file whose first line is no JSON, but which is as a whole, is one document.

    Raises:
        DataError: it cannot be read, or its gzip is damaged; what was yielded before stands.
    """
    with _reading(path) as stream:
        if (whole := _read_document(stream)) is not None:
            yield str(path), whole
            return
        stream.seek(0)
        number, n_bytes = 0, 0
        while line := stream.readline(MOST_TEXT + 1):
            number += 1
            n_bytes += len(line)
            if len(line) > MOST_TEXT:
                n_bytes += _skip_line(stream)
            if n_bytes > MOST_UNPACKED:
                raise DataError("too large", where=f"{path}:{number}", expected=f"at most {MOST_UNPACKED} bytes")
            if not line.isspace():
                yield f"{path}:{number}", line


def _read_document(stream: BinaryIO) -> bytes | None:
    """Return the whole of a file that is one JSON text over several lines, None for one of lines."""
    first = stream.readline(MOST_TEXT + 1)
    while first.isspace():
        first = stream.readline(MOST_TEXT + 1)
    if _is_json(first) or first.lstrip(b"\xef\xbb\xbf \t")[:1] not in (b"{", b"["):
        return None
    whole = first + stream.read(MOST_TEXT + 1 - len(first)) if len(first) <= MOST_TEXT else first
    return whole if len(whole) <= MOST_TEXT and _is_json(whole) else None


def _is_json(text: bytes) -> bool:
    try:
        parse_json(text)
    except DataError:
        return False
    return True


def _skip_line(stream: BinaryIO) -> int:
    skipped = 0
    while piece := stream.readline(_PIECE):
        skipped += len(piece)
        if piece.endswith(b"\n") or skipped > MOST_UNPACKED:
            break
    return skipped


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if packed else plain
    except (OSError, EOFError, zlib.error) as error:
        found = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise DataError("cannot read the events", where=str(path), found=found) from None
