"""Batches: classes alike, by weight within a class, and never fewer real positives than the floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.trainers.sampling import Stock, plan_epoch

GOOD, CRACK, PIT = 0, 1, 2


def make_stock(n_good: int, n_crack: int, n_made_crack: int, n_made_pit: int = 0) -> Stock:
    classes = np.repeat([GOOD, CRACK, CRACK, PIT], [n_good, n_crack, n_made_crack, n_made_pit])
    made = np.repeat([False, False, True, True], [n_good, n_crack, n_made_crack, n_made_pit])
    return Stock(classes, made, np.ones(len(classes)), GOOD)


def test_classes_come_alike_and_every_image_as_often() -> None:
    stock = make_stock(90, 10, 0)
    rows = plan_epoch(stock, 25, 16, 0.5, np.random.default_rng(0))
    counts = np.bincount(rows.ravel(), minlength=100)
    assert counts[:90].sum() == counts[90:].sum() == 200
    assert set(counts[:90]) <= {2, 3}
    assert set(counts[90:]) == {20}
    per_batch = (stock.classes[rows] == CRACK).sum(axis=1)
    assert per_batch.max() - per_batch.min() <= 2


@settings(max_examples=60, deadline=None)
@given(
    n_crack=st.integers(0, 4), n_made_crack=st.integers(0, 30), n_made_pit=st.integers(0, 5),
    batch=st.integers(1, 17), floor=st.floats(0, 1), seed=st.integers(0, 9),
)  # fmt: skip
def test_real_positives_keep_the_floor_in_every_batch(
    n_crack: int, n_made_crack: int, n_made_pit: int, batch: int, floor: float, seed: int
) -> None:
    stock = make_stock(20, n_crack, n_made_crack, n_made_pit)
    rows = plan_epoch(stock, 6, batch, floor, np.random.default_rng(seed))
    assert rows.shape == (6, batch)
    if n_crack:
        positive = stock.classes[rows] != GOOD
        real = (positive & ~stock.is_made[rows]).sum(axis=1)
        assert (real >= floor * positive.sum(axis=1) - 1e-9).all()


def test_made_images_come_by_their_weight_up_to_the_floor() -> None:
    stock = make_stock(10, 10, 10)
    light = Stock(stock.classes, stock.is_made, np.where(stock.is_made, 0.25, 1.0), GOOD)

    def share(one: Stock, floor: float) -> float:
        rows = plan_epoch(one, 100, 16, floor, np.random.default_rng(0))
        return float(one.is_made[rows][one.classes[rows] == CRACK].mean())

    assert share(light, 0.0) == pytest.approx(0.2, abs=0.04)
    assert share(stock, 0.0) == pytest.approx(0.5, abs=0.05)
    assert share(stock, 0.8) <= 0.2


def test_a_class_known_only_from_made_images_is_seen() -> None:
    stock = make_stock(10, 10, 0, n_made_pit=5)
    rows = plan_epoch(stock, 20, 15, 0.5, np.random.default_rng(0))
    assert (stock.classes[rows] == PIT).mean() == pytest.approx(1 / 3, abs=0.03)
    assert (stock.classes[plan_epoch(stock, 20, 15, 1.0, np.random.default_rng(0))] == PIT).sum() == 0


def test_the_plan_follows_from_the_generator_alone() -> None:
    stock = make_stock(9, 5, 4)
    first, again, other = (plan_epoch(stock, 4, 8, 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
