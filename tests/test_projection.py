"""Fewer dimensions, the same neighbours."""

from __future__ import annotations

import numpy as np

from activesel.projection import reduce_dimensions
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
