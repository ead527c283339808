"""A command's end where we are killed with SIGKILL: it dies with us, or keeps the next one waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from activesel.errors import LockedError
from activesel.trainers import subprocesses
from activesel.trainers.subprocesses import run_command
from tests.trainers.test_command import is_gone, wait_for


def kill_us_while_it_runs(folder: Path, line: str) -> None:
    """A process that runs a command, killed with SIGKILL once the command has left its number in a file `pid`."""
    code = f"""
from pathlib import Path
from activesel.trainers.subprocesses import run_command
run_command({line!r}, Path({str(folder)!r}), Path({str(folder)!r}), 0)
"""
    ours = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    wait_for(folder / "pid")
    ours.kill()
    ours.wait()


def test_a_script_dies_with_us_and_so_does_what_it_started(tmp_path: Path) -> None:
    kill_us_while_it_runs(tmp_path, "sleep 77 & echo $! > child; echo $$ > pid; wait")
    for name in ("pid", "child"):
        assert is_gone(int((tmp_path / name).read_text())), name
    assert run_command("true", tmp_path, tmp_path, 0).is_new


def test_a_script_that_outlived_a_kill_is_not_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had left the group that dies with us."""
    monkeypatch.setattr(subprocesses, "GRACE_S", 0.3)
    kill_us_while_it_runs(tmp_path, "setsid sh -c 'echo $$ > pid; exec sleep 77'")
    with pytest.raises(LockedError, match="still at work"):
        run_command("true", tmp_path, tmp_path, 0)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert run_command("true", tmp_path, tmp_path, 0).is_new


def test_no_command_begins_where_we_died_before_its_guard(tmp_path: Path) -> None:
    """Killed between the start of the two, we leave a gate that is never opened."""
    gate = subprocess.Popen(["/bin/sh", "-c", subprocesses._GATED, "sh", "echo > began"], cwd=tmp_path,
                            stdin=subprocess.PIPE)  # fmt: skip
    assert gate.stdin is not None
    gate.stdin.close()
    assert gate.wait(10) == 125
    assert not (tmp_path / "began").exists()
