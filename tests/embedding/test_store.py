"""The store gives back what went in, in any order, and survives what a kill or a bad disk leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.embedding.shards import open_shard
from activesel.embedding.store import VectorStore
from activesel.errors import DataError, UnreachableError

DIM = 6


def name_ids(numbers: list[int] | range) -> list[str]:
    return [f"{number * 2654435761 % 2**128:032x}" for number in numbers]


def make_vectors(n: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float16)


def fill(folder: Path, sizes: tuple[int, ...] = (4, 3, 5)) -> tuple[VectorStore, list[str], np.ndarray]:
    store, n = VectorStore(folder, "k"), sum(sizes)
    ids, vectors = name_ids(range(n)), make_vectors(n)
    ends = np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends, strict=True):
        store.append(ids[start:end], vectors[start:end])
    return store, ids, vectors


@given(st.permutations(range(12)), st.integers(0, 12))
def test_any_rows_in_any_order(tmp_path_factory: pytest.TempPathFactory, order: list[int], n: int) -> None:
    store, ids, vectors = fill(tmp_path_factory.mktemp("store"))
    rows = order[:n]
    np.testing.assert_array_equal(store.load([ids[i] for i in rows], normalise=False), vectors[rows])


def test_round_trip_through_another_object(tmp_path: Path) -> None:
    _, ids, vectors = fill(tmp_path)
    store = VectorStore(tmp_path, "k")
    assert (len(store), store.dim, store.known_ids()) == (12, DIM, set(ids))
    assert store.load(ids, normalise=False).tobytes() == vectors.tobytes()
    assert store.load([ids[3], ids[3]], normalise=False).tolist() == [vectors[3].tolist()] * 2
    assert json.loads((tmp_path / "store.json").read_text()) == {"schema_version": 1, "key": "k", "dim": DIM}


def test_shards_are_ordinary_safetensors(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    _, ids, vectors = fill(tmp_path, (4,))
    tensors = load_file(tmp_path / "shard-000000.safetensors")
    assert [bytes(row).hex() for row in tensors["ids"]] == ids
    np.testing.assert_array_equal(tensors["vectors"], vectors)


def test_rows_come_as_unit_rows(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "k")
    store.append(name_ids(range(3)), np.array([[3, 4], [0, 0], [0, 60000]], np.float16))
    assert store.load(name_ids(range(3))).tolist() == [[np.float16(0.6), np.float16(0.8)], [0, 0], [0, 1]]


def test_missing_ids_are_counted_and_the_command_named(tmp_path: Path) -> None:
    store, ids, _ = fill(tmp_path)
    absent = name_ids(range(50, 53))
    assert store.missing([ids[0], *absent, ids[5]]).tolist() == [1, 2, 3]
    with pytest.raises(DataError, match=r"3 of 5 images have no vector.*run `activesel embed`"):
        store.load([ids[0], *absent, ids[5]])


def test_an_empty_store(tmp_path: Path) -> None:
    store = VectorStore(tmp_path / "none", "k")
    assert (len(store), store.dim, store.known_ids(), store.mend()) == (0, None, set(), ())
    assert store.missing(name_ids(range(2))).tolist() == [0, 1]
    assert store.load([]).shape == (0, 0)
    store.append([], np.empty((0, 3), np.float16))
    assert not (tmp_path / "none").exists()


def test_the_first_of_two_vectors_counts(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "k")
    for seed in (1, 2):
        store.append(name_ids(range(2)), make_vectors(2, seed))
    assert len(store) == 2
    np.testing.assert_array_equal(store.load(name_ids(range(2)), normalise=False), make_vectors(2, 1))


def damage_cut(content: bytes) -> bytes:
    return content[:-1]


def damage_header(content: bytes) -> bytes:
    return content.replace(b'"F16"', b'"F64"')


def damage_length(content: bytes) -> bytes:
    return b"\xff" * 8 + content[8:]


def damage_offsets(content: bytes) -> bytes:
    return content.replace(b'"data_offsets":[0,', b'"data_offsets":[9,')


def damage_all(_content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [damage_cut, damage_header, damage_length, damage_offsets, damage_all])
def test_a_damaged_shard_is_set_aside_and_its_images_missing(
    damage: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, ids, vectors = fill(tmp_path)
    path = tmp_path / "shard-000001.safetensors"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match="damaged shard"):
        open_shard(path)
    reader = VectorStore(tmp_path, "k")
    assert "shard-000001" in caplog.text
    assert reader.missing(ids).tolist() == [4, 5, 6]
    assert path.exists(), "a reader moves nothing"
    assert reader.mend() == ("shard-000001.safetensors",)
    assert path.with_name("shard-000001.safetensors.damaged").exists()
    reader.append(ids[4:7], vectors[4:7])
    assert reader.load(ids, normalise=False).tobytes() == vectors.tobytes()
    assert not path.exists(), "the number of a damaged shard is not used again"


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    store, ids, _ = fill(tmp_path)
    (tmp_path / ".shard-000003.safetensors.x1y2").write_bytes(b"half")
    (tmp_path / ".store.json.x1y2").write_bytes(b"{")
    (tmp_path / "notes.txt").write_text("the user's own")
    assert store.mend() == ()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("shard")) == [
        "notes.txt",
        "store.json",
    ]
    assert len(VectorStore(tmp_path, "k")) == len(ids)


def test_a_store_without_its_json_still_reads(tmp_path: Path) -> None:
    _, ids, vectors = fill(tmp_path)
    (tmp_path / "store.json").unlink()
    assert VectorStore(tmp_path, "k").load(ids, normalise=False).tobytes() == vectors.tobytes()


def test_wrong_stores_are_refused(tmp_path: Path) -> None:
    store, _, _ = fill(tmp_path)
    with pytest.raises(DataError, match="another width"):
        store.append(name_ids([99]), np.zeros((1, DIM + 1), np.float16))
    with pytest.raises(DataError, match="found version 1, k; expected version 1, other"):
        VectorStore(tmp_path, "other")
    for text in ("{", "[]", '{"schema_version": 1}'):
        (tmp_path / "store.json").write_text(text)
        with pytest.raises(DataError, match="damaged store"):
            VectorStore(tmp_path, "k")


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, ids, _ = fill(tmp_path)

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(UnreachableError, match="No space left"):
        store.append(name_ids([99]), make_vectors(1))
    monkeypatch.undo()
    assert VectorStore(tmp_path, "k").known_ids() == set(ids)
    assert not list(tmp_path.glob(".*"))
