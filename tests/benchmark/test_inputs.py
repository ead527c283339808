"""What an .npz may be: text or numbers as labels, groups or none; everything else is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.benchmark.inputs import read_arrays
from activesel.errors import DataError
from tests.benchmark.arrays import make_arrays, write_npz


def test_arrays_become_a_dataset(tmp_path: Path) -> None:
    dataset, notes = read_arrays(write_npz(tmp_path / "a.npz", more=np.zeros(3)), 0.985)
    assert dataset.class_names == ("crack", "good", "hole")
    assert np.bincount(dataset.classes).tolist() == [24, 64, 8]
    assert len(np.unique(dataset.groups)) == 48
    assert notes == ()


def test_labels_may_be_numbers_and_lengths_other_than_one(tmp_path: Path) -> None:
    arrays = make_arrays()
    numbers = np.unique(arrays["labels"], return_inverse=True)[1]
    dataset, _ = read_arrays(write_npz(tmp_path / "a.npz", labels=numbers, vectors=arrays["vectors"] * 7), 0.985)
    assert dataset.class_names == ("0", "1", "2")
    np.testing.assert_allclose(np.linalg.norm(dataset.vectors, axis=1), 1, atol=1e-5)


def test_without_groups_near_duplicates_are_one(tmp_path: Path) -> None:
    arrays = make_arrays()
    doubled = {name: np.repeat(arrays[name], 2, axis=0) for name in ("vectors", "labels")}
    dataset, notes = read_arrays(write_npz(tmp_path / "a.npz", groups=None, **doubled), 0.9999)
    assert len(np.unique(dataset.groups)) == 96
    assert (dataset.groups[::2] == dataset.groups[1::2]).all()
    assert "0.9999" in notes[0]


ROWS = make_arrays()["vectors"]
NAMES = make_arrays()["labels"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vectors": None}, "no array called vectors"),
        ({"labels": None}, "no array called labels"),
        ({"vectors": ROWS[0]}, "one row per image"),
        ({"vectors": ROWS[:0]}, "one row per image"),
        ({"vectors": np.where(np.arange(12) == 3, np.nan, ROWS)}, "finite"),
        ({"vectors": ROWS.astype(str)}, "not numbers"),
        ({"labels": NAMES[:-1]}, "labels do not fit the vectors"),
        ({"labels": NAMES[:, None]}, "labels do not fit the vectors"),
        ({"labels": np.linspace(0, 1, 96)}, "neither text nor whole numbers"),
        ({"labels": np.array(NAMES, dtype=object)}, "cannot be loaded|Object arrays"),
        ({"labels": np.full(96, "good")}, "not a set of classes"),
        ({"groups": np.arange(95)}, "groups do not fit the vectors"),
        ({"groups": np.where(NAMES == "hole", 7, np.arange(96) + 100)}, "a class with one group.*'hole'"),
    ],
)  # fmt: skip
def test_malformed_arrays_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_arrays(write_npz(tmp_path / "a.npz", **changes), 0.985)
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04\x95 a pickle", b"path,label\n"])
def test_files_that_are_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz"):
        read_arrays(path, 0.985)


def test_an_archive_that_is_cut_or_changed(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    for broken in (bytes(content), bytes(content[: len(content) // 2])):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"not an \.npz that can be read"):
            read_arrays(path, 0.985)


def test_one_array_and_no_file(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as stream:
        np.save(stream, ROWS)
    with pytest.raises(DataError, match=r"not an \.npz that can be read"):
        read_arrays(tmp_path / "a.npz", 0.985)
    with pytest.raises(DataError, match="no such file"):
        read_arrays(tmp_path / "b.npz", 0.985)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, vectors=np.zeros((200, 100_000)), labels=NAMES)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match="expands to far more"):
        read_arrays(path, 0.985)
