"""A file is old or new and whole, whoever is killed, and nothing lies about afterwards."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from activesel.atomic import whole_file
from activesel.errors import UnreachableError


def write(path: Path, content: bytes) -> None:
    with whole_file(path) as stream:
        stream.write(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_others_place_once_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write(path, b"old")
    with whole_file(path) as stream:
        stream.write(b"new, and longer")
        stream.flush()
        assert path.read_bytes() == b"old"
        assert Path(stream.name).read_bytes() == b"new, and longer"
    assert path.read_bytes() == b"new, and longer"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == ["a.bin"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write(path, b"old")

    def stop_half_way() -> None:
        with whole_file(path) as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        stop_half_way()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    code = ("import os, signal, sys\nfrom pathlib import Path\nfrom activesel.atomic import whole_file\n"
            "with whole_file(Path(sys.argv[1])) as stream:\n"
            "    stream.write(b'x' * 100_000)\n    stream.flush()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n")  # fmt: skip
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
        assert names(tmp_path) == [".a.bin.part0"], "one draft, however many are killed"
    write(path, b"short")
    assert path.read_bytes() == b"short"
    assert names(tmp_path) == ["a.bin"]


def test_two_at_once_do_not_mix_and_the_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with whole_file(path) as first, whole_file(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first", "the outer block ends last"
    assert names(tmp_path) == ["a.bin"]


def _write_often(path: Path, letter: str, until: float) -> None:
    while time.monotonic() < until:
        write(path, letter.encode() * 50_000)


def test_many_processes_write_one_file(tmp_path: Path) -> None:
    path, until = tmp_path / "a.bin", time.monotonic() + 1
    write(path, b"z" * 50_000)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_often, args=(path, letter, until + 2)) for letter in "abc"]
    for one in writers:
        one.start()
    while any(one.is_alive() for one in writers):
        content = path.read_bytes()
        assert len(content) == 50_000
        assert len(set(content)) == 1
    assert [one.exitcode for one in writers] == [0, 0, 0]
    assert path.read_bytes()[:1] in (b"a", b"b", b"c")
    assert names(tmp_path) == ["a.bin"]


def test_a_draft_that_got_its_name_meanwhile_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    real = fcntl.flock

    def finish_first(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        (tmp_path / ".a.bin.part0").replace(path)  # by the one who held it until now
        real(handle, how)

    (tmp_path / ".a.bin.part0").write_bytes(b"theirs")
    monkeypatch.setattr(fcntl, "flock", finish_first)
    with whole_file(path) as stream:
        assert path.read_bytes() == b"theirs"
        stream.write(b"ours")
    assert path.read_bytes() == b"ours"
    assert names(tmp_path) == ["a.bin"]


def test_a_link_in_the_drafts_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / ".a.bin.part0").symlink_to("victim")
    with pytest.raises(UnreachableError, match=r"a\.bin: cannot write"):
        write(tmp_path / "a.bin", b"x")
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_another_persons_draft_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".a.bin.part0").write_bytes(b"theirs")
    real = os.open

    def refuse(name: str, flags: int, mode: int) -> int:
        if name.endswith("part0"):
            raise PermissionError(13, "Permission denied", name)
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    write(tmp_path / "a.bin", b"x")
    assert names(tmp_path) == [".a.bin.part0", "a.bin"]
    (tmp_path / ".a.bin.part0").unlink()
    with pytest.raises(UnreachableError, match="Permission denied"):  # now it is the folder that refuses
        write(tmp_path / "a.bin", b"y")
