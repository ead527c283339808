"""A few damaged files of each format; scripts/fuzz_importers.py takes ten thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.labels import annotation_format_names
from scripts import fuzz_importers


@pytest.mark.parametrize("name", [*annotation_format_names(), *fuzz_importers.FORMS])
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    found = fuzz_importers.fuzz(name, 60, 1, tmp_path, fuzz_importers.make_workspace(tmp_path / "job"))
    assert found.crashes == ()
    assert found.n_read + found.n_refused == 60
    assert found.n_refused > 10, "damage does damage"


@pytest.mark.parametrize("name", fuzz_importers.FORMS)
def test_what_is_damaged_was_right(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_importers, "damage", lambda content, _rng: content)
    found = fuzz_importers.fuzz(name, 2, 1, tmp_path, fuzz_importers.make_workspace(tmp_path / "job"))
    assert (found.n_read, found.crashes) == (2, ())


def test_a_crash_is_seen_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_importers, "guess_format", lambda _path: 1 / 0)
    found = fuzz_importers.fuzz("csv", 1, 0, tmp_path)
    assert found.crashes == ("0: ZeroDivisionError: division by zero",)
    assert (tmp_path / "csv-0.crash").is_file()
