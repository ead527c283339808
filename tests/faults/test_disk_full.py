"""A disk that fills up at each stage: exit 6 and one line; with room again, the rerun gives the same batch."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Job
from tests.faults.processes import run_process

pytestmark = pytest.mark.slow


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"only root can mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_at_every_stage(job: Job, small_disk: Path, tmp_path: Path) -> None:
    """The disk grows step by step, so each run gets a little further before it is full."""
    out = small_disk / "out"
    codes, stages = [], set()
    for size_kb in (64, 192, 256, 320, 384, 448, 512, 640, 65536):
        assert mount("-o", f"remount,size={size_kb}k", str(small_disk)).returncode == 0
        ended = run_process(job.arguments(out), tmp_path)
        codes.append(ended.code)
        if ended.code == 0:
            break
        assert (ended.code, ended.out) == (6, ""), ended.err
        (line,) = ended.err.splitlines()
        assert "free some space" in line
        stages |= {name for name in ("catalog", "vectors", "batches") if name in line}
    assert len(codes) >= 4
    assert codes[-1] == 0
    assert stages >= {"catalog"}
    assert len(stages) >= 2, stages
    assert mount("-o", "remount,size=64m", str(small_disk)).returncode == 0  # reading a catalog takes a side file
    job.check(out)


@pytest.mark.parametrize("max_file_kb", [2, 60, 110])
def test_a_write_that_the_system_refuses(job: Job, tmp_path: Path, max_file_kb: int) -> None:
    """Needs no root: no file may grow beyond a limit, which fails like a full disk in the middle of a write."""
    out = tmp_path / "out"
    (tmp_path / "log").mkdir()
    ended = run_process(job.arguments(out), tmp_path / "log", max_file_bytes=max_file_kb * 1024)
    assert (ended.code, ended.out) == (6, ""), ended.err
    assert len(ended.err.splitlines()) == 1
    again = run_process(job.arguments(out), tmp_path / "log")
    assert (again.code, again.err) == (0, "")
    job.check(out)
