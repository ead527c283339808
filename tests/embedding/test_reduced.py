"""Kept rows come back to the bit, or not at all: whatever a kill, a full disk or a bad disk leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from activesel.embedding.reduced import Directions, Half, Reduced, read_reduced, write_reduced
from activesel.errors import UnreachableError
from activesel.ids import IdArray, pack_ids

ROOT = Path(__file__).resolve().parents[2]
N, WIDTH = 50, 6
MATRIX = np.random.default_rng(1).normal(size=(9, WIDTH)).astype(np.float32)


def make_ids(n: int) -> IdArray:
    return pack_ids([f"{i * 7:032x}" for i in range(n)])


def make_rows(n: int, seed: int = 0) -> Half:
    return np.random.default_rng(seed).normal(size=(n, WIDTH)).astype(np.float16)


def writing(rows: Half) -> Callable[[Half], None]:
    def fill(out: Half) -> None:
        out[:] = rows

    return fill


def keep(folder: Path, n: int = N, seed: int = 0, matrix: np.ndarray | None = MATRIX) -> Reduced:
    return write_reduced(folder, make_ids(n), WIDTH, Directions(matrix, n), writing(make_rows(n, seed)))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("matrix", [MATRIX, None])
@pytest.mark.parametrize("n", [1, N])
def test_round_trip(tmp_path: Path, n: int, matrix: np.ndarray | None) -> None:
    written = keep(tmp_path / "space", n, matrix=matrix)
    read = read_reduced(tmp_path / "space")
    assert read is not None
    for one in (written, read):
        assert isinstance(one.rows, np.memmap)
        assert one.rows.tobytes() == make_rows(n).tobytes()
        assert one.ids.tobytes() == make_ids(n).tobytes()
        assert one.directions.n_fitted == n
        assert (one.directions.matrix is None) == (matrix is None)
        assert one.directions.checksum == Directions(matrix, 1).checksum
        if matrix is not None:
            assert np.array_equal(np.asarray(one.directions.matrix), matrix)


def test_nothing_kept(tmp_path: Path) -> None:
    assert read_reduced(tmp_path) is None


def test_the_newest_is_in_force_and_alone(tmp_path: Path) -> None:
    first = keep(tmp_path)
    keep(tmp_path, N + 5, seed=1)
    assert files(tmp_path) == ["current.json", "rows-000002.bin"]
    read = read_reduced(tmp_path)
    assert read is not None
    assert len(read.rows) == N + 5
    assert first.rows.tobytes() == make_rows(N).tobytes(), "who still reads the earlier ones, may"


def change_byte(place: float) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        at = int(place * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return change


def about(**fields: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | fields).encode()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("rows-000001.bin", change_byte(place)) for place in (0, 0.2, 0.6, 0.9, 1)),
        ("rows-000001.bin", lambda content: content[:-1]),
        ("rows-000001.bin", lambda content: content + b"\0"),
        ("rows-000001.bin", lambda _: b""),
        ("current.json", lambda _: b"{"),
        ("current.json", lambda _: b"[]"),
        ("current.json", lambda _: b"\xff"),
        ("current.json", about(schema_version=2)),
        ("current.json", about(shape=[0, WIDTH])),
        ("current.json", about(shape=[-N, -WIDTH])),
        ("current.json", about(shape="many")),
        ("current.json", about(shape=[10**30, 1])),
        ("current.json", about(rows="gone.bin")),
        ("current.json", about(rows="/etc/passwd")),
        ("current.json", about(directions=[1, 1])),
    ],
)
def test_damage_is_noticed(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    assert read_reduced(tmp_path) is None
    assert name == "current.json" or "made anew" in caplog.text
    keep(tmp_path, seed=2)
    read = read_reduced(tmp_path)
    assert read is not None
    assert read.rows.tobytes() == make_rows(N, 2).tobytes()


CHILD = """
import os, sys
from pathlib import Path
from activesel.embedding.reduced import Directions, write_reduced
from tests.embedding.test_reduced import MATRIX, N, WIDTH, make_ids, make_rows, writing
folder, moment, real = Path(sys.argv[1]), sys.argv[2], os.replace
def replace(source, target):
    if moment in str(target):
        os._exit(9)
    real(source, target)
os.replace = replace
fill = (lambda _: os._exit(9)) if moment == "fill" else writing(make_rows(N + 1))
write_reduced(folder, make_ids(N + 1), WIDTH, Directions(MATRIX, N), fill)
"""


@pytest.mark.parametrize("moment", ["fill", "rows", "current.json"])
def test_killed_while_writing_the_earlier_rows_stay(tmp_path: Path, moment: str) -> None:
    """In a process that ends without tidying up, as a killed one does."""
    keep(tmp_path)
    ended = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), moment], cwd=ROOT, check=False)
    assert ended.returncode == 9
    assert len(files(tmp_path)) > 2, "something is left over"
    read = read_reduced(tmp_path)
    assert read is not None
    assert read.rows.tobytes() == make_rows(N).tobytes()
    keep(tmp_path, N + 1)
    assert files(tmp_path)[0] == "current.json"
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("call", ["posix_fallocate", "fsync", "replace"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, no_space)
        with pytest.raises(UnreachableError, match="No space left on device; free some space"):
            keep(tmp_path, N + 1)
    assert files(tmp_path) == ["current.json", "rows-000001.bin"]
    assert read_reduced(tmp_path) is not None


def test_interrupted_while_filling(tmp_path: Path) -> None:
    def fill(_rows: Half) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_reduced(tmp_path, make_ids(3), WIDTH, Directions(None, 3), fill)
    assert files(tmp_path) == []
