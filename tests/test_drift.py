"""Drift: by hand, found where it is, rarely where it is not, however many looks there are."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.drift import compare_classes, compare_numbers, compare_vectors, hold_against_many, stability_index


def test_numbers_by_hand() -> None:
    found = compare_numbers("score", "score", np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    assert found is not None
    assert found.effect == 1.0  # all moved by one, which is the reference's standard deviation
    assert (found.n_reference, found.n_recent) == (2, 2)


def test_numbers_without_spread_or_without_numbers() -> None:
    same = compare_numbers("x", "image", np.ones(5), np.ones(5))
    assert same is not None
    assert (same.effect, same.p) == (0.0, 1.0)
    other = compare_numbers("x", "image", np.ones(50), np.full(50, 2.0))
    assert other is not None
    assert other.p < 1e-9
    assert compare_numbers("x", "image", np.array([np.nan, 1.0]), np.ones(5)) is None


def test_classes() -> None:
    rng = np.random.default_rng(0)
    apart = compare_classes("c", np.zeros(30, int), np.ones(30, int), rng)
    assert apart is not None
    assert apart.effect == 1.0
    assert apart.p < 0.001
    alike = compare_classes("c", np.array([0, 1] * 20), np.array([0, 1] * 20), rng)
    assert alike is not None
    assert (alike.effect, alike.p) == (0.0, 1.0)
    assert compare_classes("c", np.empty(0, int), np.ones(3, int), rng) is None


def test_stability_index() -> None:
    assert stability_index(np.array([50, 50]), np.array([50, 50])) == 0.0
    assert stability_index(np.array([90, 10]), np.array([50, 50])) > 0.25


def test_vectors_of_another_kind_are_told_apart_and_equal_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    moved = rng.normal(size=(80, 12))
    moved[:, 0] += 2
    apart = compare_vectors("all", rng.normal(size=(120, 12)), moved, rng)
    alike = compare_vectors("all", rng.normal(size=(120, 12)), rng.normal(size=(80, 12)), rng)
    assert apart is not None
    assert alike is not None
    assert apart.effect > 0.85
    assert apart.p < 1e-6
    assert alike.p > 0.01


def test_views_of_one_part_are_one_witness() -> None:
    rng = np.random.default_rng(3)
    parts = [np.repeat(rng.normal(size=(15, 8)), 10, axis=0) + 0.01 * rng.normal(size=(150, 8)) for _ in range(2)]
    groups = np.repeat(np.arange(15), 10)
    alone = compare_vectors("all", *parts, rng)
    once = compare_vectors("all", *parts, rng, groups=(groups, groups))
    assert alone is not None
    assert once is not None
    assert alone.p < 1e-6, "thirty parts, each in all folds: memory, not drift"
    assert once.p > 0.01
    assert once.n_recent == 15


def test_too_few_vectors_say_nothing() -> None:
    rng = np.random.default_rng(0)
    assert compare_vectors("all", rng.normal(size=(9, 3)), rng.normal(size=(50, 3)), rng) is None


@pytest.mark.parametrize("kind", ["numbers", "classes", "vectors"])
def test_where_nothing_has_changed_small_chances_are_rare(kind: str) -> None:
    rng = np.random.default_rng(5)
    p = []
    for _ in range(60 if kind == "vectors" else 200):
        if kind == "numbers":
            found = compare_numbers("x", "score", rng.normal(size=90), rng.normal(size=60))
        elif kind == "classes":
            found = compare_classes("x", rng.choice(4, 90, p=[0.9, 0.05, 0.03, 0.02]),
                                    rng.choice(4, 60, p=[0.9, 0.05, 0.03, 0.02]), rng)  # fmt: skip
        else:
            found = compare_vectors("x", rng.normal(size=(50, 6)), rng.normal(size=(40, 6)), rng)
        assert found is not None
        p.append(found.p)
    assert np.mean(np.array(p) < 0.05) <= 0.1


def test_many_looks_share_one_rate_of_false_alarms() -> None:
    rng = np.random.default_rng(0)
    alarms = [hold_against_many(rng.random(40), 0.05).any() for _ in range(2000)]
    assert np.mean(alarms) <= 0.06
    assert np.mean([(rng.random(40) < 0.05).any() for _ in range(2000)]) > 0.8, "what it guards against"
    assert hold_against_many([], 0.05).tolist() == []
    assert hold_against_many([0.04, 0.001], 0.05).tolist() == [True, True]
