"""Fewer dimensions, the same neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.projection import (
    BLOCK_ROWS,
    SAMPLE_ROWS,
    apply_directions,
    fit_directions,
    reduce_dimensions,
    sample_rows,
)
from tests.strategies.pools import unit


def test_keeps_cosines_of_vectors_that_lie_in_few_dimensions() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(500, 8)) @ rng.normal(size=(8, 64)))
    reduced = reduce_dimensions(vectors, 8).astype(np.float32)
    assert reduced.shape == (500, 8)
    assert np.abs(reduced @ reduced.T - vectors @ vectors.T).max() < 0.01


def test_nothing_to_reduce() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(20, 6)))
    assert reduce_dimensions(vectors, 0) is vectors
    assert reduce_dimensions(vectors, 6) is vectors
    assert reduce_dimensions(vectors[:4], 5).shape == (4, 6)


def test_zero_rows_stay_zero() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(50, 10)))
    vectors[3] = 0
    assert not reduce_dimensions(vectors, 4)[3].any()


def test_a_row_comes_out_the_same_in_any_company() -> None:
    """What is kept of one round must fit what the next one adds, to the bit."""
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(BLOCK_ROWS + 300, 96))).astype(np.float16)
    directions = fit_directions(vectors[:1000].astype(np.float32), 24)
    whole = apply_directions(vectors, directions)
    order = rng.permutation(len(vectors))
    assert np.array_equal(apply_directions(vectors[order], directions), whole[order])
    for rows in (slice(0, 1), slice(5, 8), slice(2000, 2345)):
        assert np.array_equal(apply_directions(vectors[rows], directions), whole[rows])


def test_fit_and_apply_are_reduce() -> None:
    """And reduce is the plain few lines: leading singular vectors, product, unit length."""
    vectors = unit(np.random.default_rng(0).normal(size=(300, 40)))
    directions = fit_directions(vectors[sample_rows(300)].astype(np.float32), 7)
    reduced = reduce_dimensions(vectors, 7)
    assert np.array_equal(reduced, apply_directions(vectors, directions))
    expected = unit(vectors @ np.linalg.svd(vectors, full_matrices=False)[2][:7].T)
    similarity = np.abs(reduced.astype(np.float32) @ reduced.astype(np.float32).T)
    assert np.abs(similarity - np.abs(expected @ expected.T)).max() < 5e-3


@pytest.mark.parametrize("s", [90, 60, 200], ids=["more dimensions than rows", "many more", "more rows"])
def test_directions_are_the_leading_singular_vectors(s: int) -> None:
    rng = np.random.default_rng(0)
    sample = unit(rng.normal(size=(s, 120)) * np.arange(1, 121) ** -0.5).astype(np.float32)
    directions = fit_directions(sample, 10)
    expected = np.linalg.svd(sample.astype(np.float64), full_matrices=False)[2][:10].T
    assert directions.shape == (120, 10)
    assert np.abs(np.abs((directions * expected).sum(axis=0)) - 1).max() < 1e-5, "each its own, in order"
    assert np.abs(directions.T @ directions - np.eye(10)).max() < 1e-5


def test_copies_span_no_more_directions_than_they_are() -> None:
    few = unit(np.random.default_rng(0).normal(size=(5, 120))).astype(np.float32)
    directions = fit_directions(np.repeat(few, 8, axis=0), 12)
    assert np.abs(directions[:, :5].T @ directions[:, :5] - np.eye(5)).max() < 1e-5
    assert not directions[:, 5:].any()
    kept = few @ directions
    assert np.abs(kept @ kept.T - few @ few.T).max() < 1e-5


def test_the_sample_is_spread_over_all() -> None:
    assert sample_rows(1).tolist() == [0]
    assert sample_rows(5).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(10 * SAMPLE_ROWS)
    assert (len(rows), rows[0], rows[-1]) == (SAMPLE_ROWS, 0, 10 * SAMPLE_ROWS - 1)
    assert np.diff(rows).max() <= 11
