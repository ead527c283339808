"""The space of a pool: the same rows whether they were kept or not, and no work done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from activesel.ids import IdArray, find_ids, pack_ids, sort_ids
from activesel.pipelines import space as space_module
from activesel.pipelines.space import Part, Space, forget_others, load_array_parts, open_space
from activesel.projection import reduce_dimensions
from activesel.records import FloatArray
from tests.strategies.pools import unit

D, C = 24, 6


class Vectors:
    """Vectors of 400 images, half precision and not of unit length, in shards of any size; remembers what was read."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.rows = (rng.normal(size=(400, D)) * rng.uniform(0.1, 9, size=(400, 1))).astype(np.float16)
        self.rows[7] = 0
        self.rows[8] = self.rows[9]
        self.ids = pack_ids([rng.bytes(16).hex() for _ in range(400)])
        self.order = sort_ids(self.ids)
        self.n_read = 0

    def pool(self, *numbers: range) -> IdArray:
        """The ids of images by number, ascending."""
        ids = self.ids[np.concatenate([np.array(part) for part in numbers])]
        return ids[sort_ids(ids)]

    def load_parts(self, ids: IdArray) -> Iterator[Part]:
        rows = self.order[find_ids(self.ids[self.order], ids)]
        self.n_read += len(rows)
        for part in np.array_split(np.random.default_rng(1).permutation(len(rows)), 7):
            yield part, self.rows[rows[part]]

    def plain(self, ids: IdArray) -> FloatArray:
        rows = self.order[find_ids(self.ids[self.order], ids)]
        return unit(self.rows[rows].astype(np.float32))


@pytest.fixture
def vectors(monkeypatch: pytest.MonkeyPatch) -> Vectors:
    monkeypatch.setattr(space_module, "LEAST_ROWS", 50)
    return Vectors()


def by_id(space: Space, ids: IdArray) -> dict[bytes, bytes]:
    return {bytes(image_id): row.tobytes() for image_id, row in zip(ids, space.rows, strict=True)}


def test_rows_are_those_of_the_plain_way(vectors: Vectors, tmp_path: Path) -> None:
    ids = vectors.pool(range(100))
    kept = open_space(tmp_path, "v", ids, vectors.load_parts, C)
    expected = reduce_dimensions(vectors.plain(ids), C).astype(np.float32)
    assert kept.rows.dtype == np.float16
    assert isinstance(kept.rows, np.memmap)
    cosine = kept.rows.astype(np.float32) @ kept.rows.astype(np.float32).T
    assert np.abs(cosine - expected @ expected.T).max() < 4e-3
    assert np.array_equal(kept.project(vectors.plain(ids)[:3]).shape, (3, C))


def test_without_components_rows_stay_but_for_their_length(vectors: Vectors, tmp_path: Path) -> None:
    for components in (0, D, D + 5):
        ids = vectors.pool(range(100))
        space = open_space(tmp_path, "v", ids, vectors.load_parts, components)
        assert np.abs(space.rows - vectors.plain(ids)).max() < 1e-3
        assert space.directions.matrix is None


def test_an_unchanged_pool_is_not_read_again(vectors: Vectors, tmp_path: Path) -> None:
    ids = vectors.pool(range(100))
    first = open_space(tmp_path, "v", ids, vectors.load_parts, C)
    vectors.n_read = 0
    again = open_space(tmp_path, "v", ids, vectors.load_parts, C)
    assert vectors.n_read == 0
    assert isinstance(again.rows, np.memmap), "mapped, not copied"
    assert again.rows.tobytes() == first.rows.tobytes()
    assert again.identity == first.identity


def test_only_new_images_are_read_and_the_others_stay(vectors: Vectors, tmp_path: Path) -> None:
    old, both = vectors.pool(range(100)), vectors.pool(range(130))
    first = open_space(tmp_path, "v", old, vectors.load_parts, C)
    before = by_id(first, old)
    vectors.n_read = 0
    second = open_space(tmp_path, "v", both, vectors.load_parts, C)
    assert vectors.n_read == 30
    assert second.identity == first.identity, "what was computed from the rows still fits"
    after = by_id(second, both)
    assert {key: after[key] for key in before} == before


def test_added_rows_are_those_of_one_go(vectors: Vectors, tmp_path: Path) -> None:
    """With the directions of the first round, image by image to the bit, whatever the order in which they came."""
    for numbers in ((100, 110, 150, 199), (100, 199)):
        folder = tmp_path / str(len(numbers))
        for n in numbers:
            ids = vectors.pool(range(n))
            space = open_space(folder, "v", ids, vectors.load_parts, C)
    whole = by_id(open_space(tmp_path / "2", "v", vectors.pool(range(199)), vectors.load_parts, C), ids)
    assert by_id(space, ids) == whole
    assert by_id(open_space(tmp_path / "4", "v", ids, vectors.load_parts, C), ids) == whole


def test_a_pool_that_has_outgrown_its_directions_is_made_anew(vectors: Vectors, tmp_path: Path) -> None:
    first = open_space(tmp_path, "v", vectors.pool(range(100)), vectors.load_parts, C)
    almost = open_space(tmp_path, "v", vectors.pool(range(199)), vectors.load_parts, C)
    vectors.n_read = 0
    ids = vectors.pool(range(200))
    grown = open_space(tmp_path, "v", ids, vectors.load_parts, C)
    assert almost.identity == first.identity
    assert grown.identity != first.identity
    assert vectors.n_read >= 200
    fresh = open_space(tmp_path / "fresh", "v", ids, vectors.load_parts, C)
    assert fresh.identity == grown.identity
    assert by_id(fresh, ids) == by_id(grown, ids)


def test_images_that_left(vectors: Vectors, tmp_path: Path) -> None:
    before = by_id(open_space(tmp_path, "v", ids := vectors.pool(range(100)), vectors.load_parts, C), ids)
    fewer = vectors.pool(range(10, 100))
    vectors.n_read = 0
    left = open_space(tmp_path, "v", fewer, vectors.load_parts, C)
    assert vectors.n_read == 0
    assert by_id(left, fewer) == {key: before[key] for key in map(bytes, fewer)}
    assert isinstance(open_space(tmp_path, "v", fewer, vectors.load_parts, C).rows, np.memmap)


def test_sources_of_one_workspace_share_what_is_kept(vectors: Vectors, tmp_path: Path) -> None:
    one, two = vectors.pool(range(100)), vectors.pool(range(80, 160))
    first = by_id(open_space(tmp_path, "v", one, vectors.load_parts, C, whole=False), one)
    second = by_id(open_space(tmp_path, "v", two, vectors.load_parts, C, whole=False), two)
    vectors.n_read = 0
    assert by_id(open_space(tmp_path, "v", one, vectors.load_parts, C, whole=False), one) == first
    assert by_id(open_space(tmp_path, "v", two, vectors.load_parts, C, whole=False), two) == second
    assert vectors.n_read == 0


def test_other_vectors_or_components_are_another_space(vectors: Vectors, tmp_path: Path) -> None:
    ids = vectors.pool(range(100))
    spaces = [open_space(tmp_path, name, ids, vectors.load_parts, c) for name, c in (("v", C), ("w", C), ("v", C + 1))]
    assert len({str(space.identity) for space in spaces}) == 3
    assert len(list(tmp_path.iterdir())) == 3
    forget_others(tmp_path, "v", "w")
    assert [path.name for path in tmp_path.iterdir()] == [f"w-{C}"]


def test_damage_is_mended(vectors: Vectors, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = vectors.pool(range(100))
    before = by_id(open_space(tmp_path, "v", ids, vectors.load_parts, C), ids)
    (path,) = (tmp_path / f"v-{C}").glob("rows-*")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert by_id(open_space(tmp_path, "v", ids, vectors.load_parts, C), ids) == before
    assert "made anew" in caplog.text


def test_a_small_pool_leaves_no_file(vectors: Vectors, tmp_path: Path) -> None:
    for n in (1, 3, 49):
        ids = vectors.pool(range(n))
        space = open_space(tmp_path, "v", ids, vectors.load_parts, C)
        assert space.rows.shape == (n, C if n > C else D)
        norm = np.linalg.norm(space.rows.astype(np.float32), axis=1)
        assert (np.abs(norm - vectors.plain(ids).any(axis=1)) < 2e-3).all()
    assert list(tmp_path.iterdir()) == []


def test_rows_of_an_array() -> None:
    made = Vectors()
    ids = made.pool(range(30))
    array = made.plain(ids)
    parts = list(load_array_parts(ids, array)(ids[[3, 20]]))
    assert np.array_equal(np.concatenate([rows for _, rows in parts]), array[[3, 20]])
