"""kill -9, Ctrl-C and SIGTERM at any moment of ingest, embed and select: run again, and nothing happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Job, Moment
from tests.faults.processes import Process, run_process

pytestmark = pytest.mark.slow


def state(out: Path) -> Path:
    return out / ".activesel"


def n_shards(out: Path) -> int:
    return len(list(state(out).glob("vectors/*/shard-*.safetensors")))


# What the folder shows when each stage has begun.
MOMENTS: dict[str, Moment] = {
    "ingest": lambda out: (state(out) / "catalog.sqlite").exists(),
    "embed, first shard": lambda out: n_shards(out) >= 1,
    "embed, half": lambda out: n_shards(out) >= 3,
    "embed, last shard": lambda out: n_shards(out) >= 6,
    "write": lambda out: (state(out) / "batches").exists(),
    "record": lambda out: (state(out) / "batches" / "0001").exists(),
    "copy": lambda out: (out / "stands_for.csv").exists(),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_when_a_stage_begins(job: Job, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    process = Process(job.arguments(out), tmp_path)
    assert process.wait_until(lambda: MOMENTS[name](out)), "the stage never came"
    process.send(signal.SIGKILL)
    assert process.end().code in (-signal.SIGKILL, 0)  # 0: it was done before the signal came
    again = run_process(job.arguments(out), tmp_path)
    assert (again.code, again.err) == (0, "")
    job.check(out)


def test_killed_at_random_moments_again_and_again(job: Job, tmp_path: Path) -> None:
    """One job, killed later and later until it gets through."""
    out = tmp_path / "out"
    rng = random.Random(2)
    patience_s, n_killed = 0.02, 0
    for _ in range(60):
        process = Process(job.arguments(out), tmp_path)
        if process.wait_until(clock(rng.uniform(0.5, 1.0) * patience_s)):
            process.send(signal.SIGKILL)
        ended = process.end()
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended.err
        n_killed += 1
        patience_s *= 1.4
    assert n_killed >= 6
    job.check(out)


def clock(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


@pytest.mark.parametrize(
    ("name", "number", "code"),
    [("ingest", signal.SIGINT, 130), ("embed, first shard", signal.SIGINT, 130), ("write", signal.SIGINT, 130),
     ("embed, first shard", signal.SIGTERM, 143)],
)  # fmt: skip
def test_interrupted(job: Job, tmp_path: Path, name: str, number: signal.Signals, code: int) -> None:
    for attempt in range(5):
        out = tmp_path / f"out-{attempt}"
        process = Process(job.arguments(out), tmp_path)
        process.wait_until(lambda out=out: MOMENTS[name](out))
        process.send(number)
        ended = process.end()
        if ended.code != 0:  # 0: on a busy machine the signal can come too late
            break
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert ended.err == "activesel: interrupted; run the same command again to go on\n"
    again = run_process(job.arguments(out), tmp_path)
    assert (again.code, again.err) == (0, "")
    job.check(out)


def test_ctrl_c_on_the_installed_command(job: Job, tmp_path: Path) -> None:
    """The same once without the fork server: an interpreter that still imports when the signal comes."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "activesel", *job.arguments(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: MOMENTS["ingest"](out) or process.poll() is not None)
    os.kill(process.pid, signal.SIGINT)
    written, complaint = process.communicate(timeout=120)
    assert (process.returncode, written) == (130, b"")
    assert complaint == b"activesel: interrupted; run the same command again to go on\n"


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
