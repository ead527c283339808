"""Whether kappas surely differ: rarely told of alike ones, told of others."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.pooling import SURELY, compare_kappas, compare_rounds


def tables(kappas: tuple[float, ...], n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Of pairs who agree beyond chance so far, a fifth of the images defective."""
    even = np.array([0.64, 0.16, 0.16, 0.04])
    same = np.array([0.8, 0.0, 0.0, 0.2])
    return [rng.multinomial(n, k * same + (1 - k) * even).reshape(2, 2) for k in kappas]


@pytest.mark.parametrize("n", [60, 400])
def test_alike_ones_seldom_differ(n: int) -> None:
    rng = np.random.default_rng(1)
    found = [compare_kappas(tables((0.9, 0.9, 0.9), n, rng), rng) for _ in range(200)]
    assert np.mean([p < SURELY for p in found]) < 0.1


def test_others_do() -> None:
    rng = np.random.default_rng(2)
    found = [compare_kappas(tables((0.97, 0.97, 0.75), 300, rng), rng) for _ in range(50)]
    assert np.mean([p < SURELY for p in found]) > 0.9


def test_a_worse_one_is_told_sooner_than_a_better_one() -> None:
    rng = np.random.default_rng(3)
    worse, better = (np.mean([compare_rounds(own, earlier, rng).may_pool for own, *earlier in (
        tables((kappa, 0.9, 0.9, 0.9), 200, rng) for _ in range(60))]) for kappa in (0.78, 0.97))  # fmt: skip
    assert worse < 0.4 < better


def test_alike_ones_are_pooled_mostly() -> None:
    rng = np.random.default_rng(4)
    found = [compare_rounds(own, earlier, rng).may_pool for own, *earlier in (
        tables((0.9, 0.9, 0.9), 200, rng) for _ in range(100))]  # fmt: skip
    assert np.mean(found) > 0.75
