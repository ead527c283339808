"""Files of events: lines or one document, packed or not, in bounded pieces."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from activesel.errors import DataError
from activesel.events import files
from activesel.events.files import read_texts


def texts(path: Path) -> list[bytes]:
    return [text.strip() for _, text in read_texts(path)]


@pytest.mark.parametrize("packed", [False, True])
def test_lines_and_their_places(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.ndjson"
    content = b'{"a": 1}\n\n[{"b": 2}]\r\nnonsense\n{"c": 3}'
    path.write_bytes(gzip.compress(content) if packed else content)
    assert texts(path) == [b'{"a": 1}', b'[{"b": 2}]', b"nonsense", b'{"c": 3}']
    assert [where for where, _ in read_texts(path)] == [f"{path}:{n}" for n in (1, 3, 4, 5)]


def test_a_document_over_several_lines_is_one_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("\n" + json.dumps([{"a": 1}, {"b": 2}], indent=2), encoding="utf8")
    assert [json.loads(text) for text in texts(path)] == [[{"a": 1}, {"b": 2}]]


def test_lines_that_begin_with_a_broken_one_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"a": \n{"b": 2}\n')
    assert texts(path) == [b'{"a":', b'{"b": 2}']


def test_a_line_that_is_too_long_comes_cut_and_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_TEXT", 100)
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"a": 1}\n' + b"x" * 300_000 + b'\n{"b": 2}\n')
    found = texts(path)
    assert [found[0], len(found[1]), found[2]] == [b'{"a": 1}', 101, b'{"b": 2}']


def test_what_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_TEXT", 1000)
    monkeypatch.setattr(files, "MOST_UNPACKED", 100_000)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"0" * 10_000_000))
    with pytest.raises(DataError, match="too large"):
        texts(path)


@pytest.mark.parametrize(
    "content", [gzip.compress(b'{"a": 1}\n' * 1000)[:-20], b"\x1f\x8bnonsense"], ids=["cut", "nonsense"]
)
def test_a_damaged_gzip_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot read the events"):
        texts(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        texts(tmp_path / "a")


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert texts(path) == []
