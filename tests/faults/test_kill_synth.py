"""kill -9 at any moment of `activesel synth --workers 2`: run again, the same set; no process and no file is left over.

The whole process group, the parent alone, or one worker alone dies, at seeded moments between the first import and the
last file. What a group's death leaves in /dev/shm, names of semaphores, only the system's restart takes away.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.synth.sets import write_set

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # a dozen starts, each of three processes that import torch
TIMEOUT_S = 240
MAY_DIFFER = {"run.json", "inputs.json", "lock"}  # they name the folder, the time, the worker count


@dataclass(frozen=True)
class Job:
    """labels: of the set. files: what an undisturbed run leaves, by name. seconds: how long that took."""

    labels: Path
    files: dict[str, bytes]
    names: set[str]
    seconds: float

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        words = ["synth", "--labels", self.labels, "--class", "scratch", "--count", 12, "--max-proposals", 96,
                 "--seed", 7, "--no-embed", "--workers", 2, "--blend", "residual", "--format", "coco", "--format",
                 "yolo", "--format", "imagefolder", "--out", out]  # fmt: skip
        log = out.with_name("stderr")
        log.unlink(missing_ok=True)  # a new one: of those killed before, the keeper of semaphores may still complain
        with log.open("w") as complaints:  # a pipe would be held open by orphans
            return subprocess.Popen([sys.executable, "-m", "activesel", *map(str, words)], stdout=subprocess.DEVNULL,
                                    stderr=complaints, start_new_session=True)  # fmt: skip

    def check(self, out: Path) -> None:
        files, names = read_folder(out)
        assert files == self.files
        assert names == self.names, "left over from a killed run"


def read_folder(out: Path) -> tuple[dict[str, bytes], set[str]]:
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name not in MAY_DIFFER}, set(found)


@pytest.fixture(scope="session")
def synth_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("synth-job")
    labels = write_set(folder / "data")
    started = time.monotonic()
    process = Job(labels, {}, set(), 0).start(folder / "out")
    assert process.wait(TIMEOUT_S) == 0, (folder / "stderr").read_text()
    return Job(labels, *read_folder(folder / "out"), time.monotonic() - started)


def in_session(session: int) -> Iterator[tuple[int, str]]:
    """Yield pid and command line of every process of a session that still runs."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if folder.name.isdigit() and int(fields[3]) == session and fields[0] not in "ZX":
                yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")


def workers_of(session: int) -> list[int]:
    return [pid for pid, words in in_session(session) if "spawn_main" in words]


def strike(process: subprocess.Popen[bytes], victim: str, rng: random.Random) -> None:
    """Kill the victim; it may just have ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        if victim == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif victim == "parent":
            process.kill()
        elif workers := workers_of(process.pid):
            os.kill(rng.choice(workers), signal.SIGKILL)


def wait_for_moment(process: subprocess.Popen[bytes], moment: float) -> None:
    """Wait so many seconds from the start; below 0: that long after the first worker was started."""
    deadline = time.monotonic() + TIMEOUT_S
    while moment < 0 and process.poll() is None and not workers_of(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(abs(moment))


def nobody_left(session: int) -> None:
    deadline = time.monotonic() + 30
    while left := list(in_session(session)):
        assert time.monotonic() < deadline, f"orphans: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize(("victim", "seed"), [("group", 1), ("parent", 2), ("worker", 3)])
def test_killed_again_and_again(synth_job: Job, tmp_path: Path, victim: str, seed: int) -> None:
    """One set, killed as its workers start, then at random moments, later and later, until it gets through."""
    out, rng = tmp_path / "out", random.Random(seed)
    moments = [-0.02, -rng.uniform(0.2, 2), *(rng.uniform(0.4, 1) * synth_job.seconds for _ in range(2))]
    sessions, n_struck = [], 0
    for moment in moments:
        process = synth_job.start(out)
        sessions.append(process.pid)
        wait_for_moment(process, moment)
        strike(process, victim, rng)
        code, complaint = process.wait(TIMEOUT_S), (tmp_path / "stderr").read_text()
        assert code in (0, -signal.SIGKILL, 3), complaint
        if code == 3:
            assert complaint == (
                "activesel: a worker process died; less memory is needed with --workers 1; or the script lacks"
                ' `if __name__ == "__main__":`\n'
            )
        n_struck += code != 0
    assert n_struck >= 2
    last = synth_job.start(out)
    assert (last.wait(TIMEOUT_S), (tmp_path / "stderr").read_text()) == (0, "")
    for session in [*sessions, last.pid]:
        nobody_left(session)
    synth_job.check(out)
