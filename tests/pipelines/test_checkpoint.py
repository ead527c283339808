"""The checkpoint file: read by the same selection only, whole or not at all, gone when the selection is done."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from activesel.pipelines import checkpoint
from activesel.pipelines.checkpoint import FileJournal, keep_journal
from activesel.workspace import create_workspace

STATE = {
    "picked": np.array([4, 2]), "gains": np.array([0.5, 0.25]), "bound": np.arange(3, dtype=np.float32),
    "generator": np.array([2**64 - 1, 0], dtype=np.uint64),
}  # fmt: skip


def test_what_was_written_is_read(tmp_path: Path) -> None:
    FileJournal(tmp_path / "c", "key").write(STATE)
    state = FileJournal(tmp_path / "c", "key").read()
    assert state is not None
    assert set(state) == set(STATE)
    for name, values in STATE.items():
        assert state[name].dtype == values.dtype
        np.testing.assert_array_equal(state[name], values)


def test_another_selection_does_not_read_it(tmp_path: Path) -> None:
    FileJournal(tmp_path / "c", "key").write(STATE)
    assert FileJournal(tmp_path / "c", "other").read() is None


def test_nothing_written_nothing_read(tmp_path: Path) -> None:
    assert FileJournal(tmp_path / "c", "key").read() is None


@pytest.mark.parametrize("damage", [lambda whole: whole[:100], lambda _: b"", lambda _: pickle.dumps(STATE)])
def test_a_damaged_file_is_said_and_ignored(tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c"
    FileJournal(path, "key").write(STATE)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert FileJournal(path, "key").read() is None
    assert "starts anew" in caplog.text


def test_it_is_due_after_a_while_and_then_not(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "c", "key", every_s=1000)
    assert not journal.is_due()
    journal._last -= 1001
    assert journal.is_due()
    journal.write(STATE)
    assert not journal.is_due()


def test_a_journal_outlives_a_failure_and_not_a_success(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path)

    def fail() -> None:
        with keep_journal(workspace, {"seed": 1}, 10) as journal:
            journal.write(STATE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with keep_journal(workspace, {"seed": 1}, 10) as journal:
        assert journal.read() is not None
    assert not (workspace.state / checkpoint.NAME).exists()
