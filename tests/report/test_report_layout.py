"""The map's layout: who is on it, what stays near what, and the degenerate pools."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.records import FloatArray
from activesel.report import layout
from activesel.report.layout import layout_map


def unit_rows(rng: np.random.Generator, n: int, d: int = 16) -> FloatArray:
    vectors = rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def two_groups(rng: np.random.Generator, n: int) -> tuple[FloatArray, np.ndarray]:
    group = np.arange(n) % 2
    vectors = np.eye(8)[group * 3] + 0.05 * rng.normal(size=(n, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), group


NOTHING = np.zeros(0, dtype=np.int64)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 11, 12, 13, 40])
def test_small_pools_get_a_map(rng: np.random.Generator, n: int) -> None:
    rows, xy = layout_map(unit_rows(rng, n), keep=NOTHING, max_points=100, seed=0)
    assert rows.tolist() == list(range(n))
    assert xy.shape == (n, 2)
    assert xy.dtype == np.float32
    assert np.isfinite(xy).all()
    assert ((xy >= 0) & (xy <= 1)).all()
    if n >= 3:
        assert np.ptp(xy, axis=0).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(("n", "d"), [(1, 4), (5, 4), (60, 4), (60, 1)])
def test_identical_points_lie_in_the_middle(n: int, d: int) -> None:
    vectors = np.zeros((n, d), dtype=np.float16)
    vectors[:, 0] = 1
    _, xy = layout_map(vectors, keep=NOTHING, max_points=100, seed=0)
    assert np.all(xy == 0.5)


def test_groups_stay_together(rng: np.random.Generator) -> None:
    vectors, group = two_groups(rng, 120)
    _, xy = layout_map(vectors, keep=NOTHING, max_points=200, seed=0)
    gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert (group[gaps.argmin(axis=1)] == group).mean() > 0.98


def test_duplicates_among_others_are_no_trouble(rng: np.random.Generator) -> None:
    vectors = np.repeat(unit_rows(rng, 20), 6, axis=0)
    _, xy = layout_map(vectors, keep=NOTHING, max_points=200, seed=0)
    assert np.isfinite(xy).all()


def test_thinning_keeps_the_kept_and_is_even(rng: np.random.Generator) -> None:
    keep = np.array([5, 5, 990, 3])
    rows, xy = layout_map(unit_rows(rng, 1000), keep=keep, max_points=120, seed=0)
    assert len(rows) == len(set(rows.tolist())) == len(xy) == 120
    assert set(keep.tolist()) <= set(rows.tolist())
    assert np.array_equal(rows, np.sort(rows))
    quarters = np.histogram(rows, bins=4, range=(0, 1000))[0]
    assert quarters.min() > 15, "one quarter of the pool is hardly on the map"


def test_same_seed_same_map_and_another_seed_another(rng: np.random.Generator) -> None:
    vectors = unit_rows(rng, 300)
    first, again, other = (layout_map(vectors, keep=NOTHING, max_points=100, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_more_kept_rows_than_points_are_placed_beside_their_neighbours(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "PLACE_BLOCK", 7)  # several blocks, the last one short
    vectors, group = two_groups(rng, 100)
    rows, xy = layout_map(vectors, keep=np.arange(100), max_points=40, seed=0)
    assert rows.tolist() == list(range(100))
    centres = np.stack([xy[group == g].mean(axis=0) for g in (0, 1)])
    nearest = np.linalg.norm(xy[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == group).mean() > 0.95


def test_half_precision_memory_mapped_vectors(rng: np.random.Generator, tmp_path: object) -> None:
    path = f"{tmp_path}/vectors.npy"
    np.save(path, unit_rows(rng, 50).astype(np.float16))
    _, xy = layout_map(np.load(path, mmap_mode="r"), keep=NOTHING, max_points=30, seed=0)
    assert xy.shape == (30, 2)
