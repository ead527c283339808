"""Two commands on one workspace: the second is told who holds it, the first does not notice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Job
from tests.faults.processes import Process, run_process

pytestmark = pytest.mark.slow


def test_the_second_command_is_turned_away(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lock = out / ".activesel" / "lock"
    first = Process(job.arguments(out), tmp_path)
    assert first.wait_until(lambda: lock.exists() and "process" in lock.read_text())
    first.send(signal.SIGSTOP)  # held still, so that it cannot finish meanwhile
    (tmp_path / "second").mkdir()
    for arguments in (job.arguments(out), ["ingest", str(job.photos), "-w", str(out)], ["embed", "-w", str(out)]):
        second = run_process(arguments, tmp_path / "second")
        assert (second.code, second.out) == (7, "")
        assert second.err == (
            f"activesel: {out}: the workspace is in use; found `activesel select` (process {first.pid}); "
            "wait until it is done, then run this again\n"
        )
    first.send(signal.SIGCONT)
    ended = first.end()
    assert (ended.code, ended.err) == (0, "")
    job.check(out)


def test_a_killed_holder_leaves_no_lock(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lock = out / ".activesel" / "lock"
    first = Process(job.arguments(out), tmp_path)
    assert first.wait_until(lambda: lock.exists() and "process" in lock.read_text())
    first.send(signal.SIGKILL)
    assert first.end().code == -signal.SIGKILL
    assert run_process(job.arguments(out), tmp_path).code == 0
    job.check(out)
