"""JSON from untrusted files: whole documents, lists record by record, and lines; each complaint with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from activesel.errors import DataError
from activesel.labels.parcels import open_file, read_file

_LONGEST_LINE = 64 << 20  # bytes; Prodigy may put a whole picture into one
_SPACE = re.compile(r"[ \t\n\r]*")


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def read_document(path: Path) -> Any:
    """Return a JSON file's content.

    Raises:
        DataError: it is not JSON in UTF-8, or too large or too deep.
    """
    text = _read_text(path)
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", where=str(path), found=str(error)[:200]) from None


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of a JSON list with its place, "tasks.json: [3]", one at a time: a list may hold millions.

    Raises:
        DataError: the file is no list of objects.
    """
    text = _read_text(path)
    at = _skip_space(text, 0)
    if text[at : at + 1] != "[":
        raise DataError("not a JSON list", where=str(path), found=ascii(text[at : at + 20]) if text else "nothing")
    at, number = _skip_space(text, at + 1), 0
    while text[at : at + 1] != "]" or number:
        where = f"{path}: [{number}]"
        record, at = _decode_at(text, at, where)
        yield where, record
        at, number = _skip_space(text, at), number + 1
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise DataError("not valid JSON", where=where, found=ascii(text[at : at + 20]), expected="a comma or ]")
        at = _skip_space(text, at + 1)
    if _skip_space(text, at + 1) < len(text):
        raise DataError("something follows the list", where=str(path), found=ascii(text[at + 1 : at + 20]))


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the object of each line with its place, "tasks.jsonl:3"; blank lines are left out.

    Raises:
        DataError: a line is no JSON object in UTF-8, or too long.
    """
    with open_file(path) as stream:
        number = 0
        while line := stream.readline(_LONGEST_LINE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > _LONGEST_LINE:
                raise DataError("a line is too long", where=where, expected=f"at most {_LONGEST_LINE} bytes")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.isspace() and line:
                yield where, _decode_line(line, where)


def write_lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False, allow_nan=False) + "\n" for one in records)


def write_document(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _read_text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("not valid JSON", where=str(path), found=f"not UTF-8: {error.reason}") from None


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _decode_at(text: str, at: int, where: str) -> tuple[dict[str, Any], int]:
    try:
        record, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", where=where, found=str(error)[:200]) from None
    if not isinstance(record, dict):
        raise DataError("not an object", where=where, found=type(record).__name__)
    return record, end


def _decode_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = _DECODER.decode(line.decode("utf8").strip())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError("not valid JSON", where=where, found=str(error)[:200]) from None
    if not isinstance(record, dict):
        raise DataError("not an object", where=where, found=type(record).__name__)
    return record
