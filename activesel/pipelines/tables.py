"""Tables as people and spreadsheets read them, and files of any length that appear whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from activesel.atomic import whole_file

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?", re.ASCII)
_NEEDS_QUOTES = re.compile(r'[",\r\n]')


def write_csv(lines: list[list[object]]) -> str:
    """Return lines of cells as text."""
    return "".join(",".join(map(write_cell, line)) + "\n" for line in lines)


def write_cell(value: object) -> str:
    """Write one cell; text that a spreadsheet would run as a formula gets a quote in front, a number such as -5 not.

    Python's csv writer leaves a lone carriage return without quotes, and every reader then sees two lines.
    """
    text = "" if value is None else str(value)
    if text[:1] in _FORMULA_STARTS and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def write_blocks(path: Path, blocks: Iterator[bytes]) -> None:
    """Write a file of any length, block by block, so that it is absent, old or complete.

    Raises:
        UnreachableError: the disk is full or the folder cannot be written.
    """
    with whole_file(path) as stream:
        for block in blocks:
            stream.write(block)
