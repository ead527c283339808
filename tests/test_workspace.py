"""The workspace: found from below, locked by one writer, files whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from activesel.errors import DataError, LockedError, UnreachableError
from activesel.workspace import create_workspace, find_workspace, write_atomic


def test_found_from_a_folder_below(tmp_path: Path) -> None:
    create_workspace(tmp_path / "line", ["seed=4"])
    (tmp_path / "line" / "a" / "b").mkdir(parents=True)
    assert find_workspace(tmp_path / "line" / "a" / "b").root == (tmp_path / "line").resolve()
    with pytest.raises(DataError, match="activesel init"):
        find_workspace(tmp_path)


def test_creating_again_keeps_the_settings(tmp_path: Path) -> None:
    create_workspace(tmp_path)
    (tmp_path / "activesel.yaml").write_text("seed: 9\n")
    assert create_workspace(tmp_path).config.seed == 9


def test_second_writer_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path)
    with (
        workspace.lock("embed"),
        pytest.raises(LockedError, match=rf"`activesel embed` \(process {os.getpid()}\)"),
        workspace.lock("select"),
    ):
        pass
    with workspace.lock("select"):
        pass


def test_atomic_write_replaces_or_leaves_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "sub" / "a.txt"
    write_atomic(target, "one")
    write_atomic(target, b"two")
    assert target.read_text() == "two"

    def fail(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnreachableError, match="No space left"):
        write_atomic(target, "three")
    assert target.read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnreachableError, match="cannot write"):
        write_atomic(tmp_path / "file" / "a.txt", "x")
