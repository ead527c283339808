"""Vectors become unit rows, unit rows stay where they are, and bad ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.errors import DataError
from activesel.vectors import check_vectors


def test_rows_become_unit_and_zero_stays_zero() -> None:
    unit = check_vectors(np.array([[3, 4], [0, 0], [1e-30, 0], [3e30, 4e30]]), "v")
    assert unit.dtype == np.float32
    assert unit == pytest.approx(np.array([[0.6, 0.8], [0, 0], [1, 0], [0.6, 0.8]]))


def test_half_stays_half_and_integers_become_float() -> None:
    assert check_vectors(np.array([[3, 4]], np.float16), "v").dtype == np.float16
    assert check_vectors(np.array([[3, 4]], np.int8), "v").dtype == np.float32


def test_unit_rows_are_not_copied(tmp_path: Path, rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((50, 8))
    np.save(tmp_path / "v.npy", (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert check_vectors(mapped, "v") is mapped


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.array([[1.0, 0], [0, np.nan]]), "v, row 1: a vector holds a value that is not a finite number; found nan"),
        (np.array([[np.inf, 0]], np.float16), "row 0.*inf"),
        (np.ones(3), r"found shape \(3,\)"),
        (np.ones((0, 3)), r"found shape \(0, 3\)"),
        (np.ones((3, 0)), r"found shape \(3, 0\)"),
        (np.array([["a"]]), "not numbers"),
        (np.ones((2, 2), bool), "not numbers"),
    ],
)
def test_wrong_vectors_are_named(vectors: np.ndarray, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match=message):
        check_vectors(vectors, "v")


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_too_short_to_be_squared_are_no_zeros(dtype: type) -> None:
    vectors = np.array([[1, 0], [1e-30 if dtype == np.float32 else 6e-8, 0]], dtype=dtype)
    assert check_vectors(vectors, "v").tolist() == [[1, 0], [1, 0]]


def test_the_callers_rows_are_not_changed() -> None:
    vectors = np.array([[0.6, 0.8], [0, 0]], dtype=np.float32)
    before = vectors.copy()
    assert check_vectors(vectors, "v") is vectors
    np.testing.assert_array_equal(vectors, before)
