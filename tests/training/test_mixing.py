"""Mixtures: a defect's change moved to another host, shared with real examples; nothing of the old host is left."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.training.mixing import LEAST_ROWS, Seen, mix


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def scene(rng: np.random.Generator, n: int = 5) -> Seen:
    """Axis 0 is the defect, axis 1 what the variants' hosts have in common, axis 2 what other hosts have."""
    hosts = unit(np.array([0, 1, 0, 0.0]) + 0.05 * rng.normal(size=(n, 4)))
    others = unit(np.array([0, 0, 1, 0.0]) + 0.05 * rng.normal(size=(30, 4)))
    variants = hosts + np.array([0.5, 0, 0, 0], np.float32)
    real = unit(np.array([[1, 0, 1, 0.0], [1, 0, 1.2, 0]]))
    return Seen(np.asarray(variants, np.float32), hosts, others, real)


def test_what_a_variants_host_looks_like_is_gone(rng: np.random.Generator) -> None:
    mixed = mix(scene(rng), np.random.default_rng(0))
    assert mixed.shape == (LEAST_ROWS, 4)
    assert np.linalg.norm(mixed, axis=1) == pytest.approx(np.ones(LEAST_ROWS), abs=1e-5)
    assert abs(mixed[:, 1].mean()) < 0.05  # the variants' hosts
    assert mixed[:, 0].min() > 0.2  # the defect stays


def test_every_variant_is_there_and_no_fewer_than_asked(rng: np.random.Generator) -> None:
    assert len(mix(scene(rng, 7), rng)) == LEAST_ROWS
    assert len(mix(scene(rng, LEAST_ROWS + 1), rng)) == LEAST_ROWS + 1


def test_without_other_hosts_the_variants_own_do(rng: np.random.Generator) -> None:
    seen = scene(rng)
    alone = mix(Seen(seen.variants, seen.hosts, seen.others[:0], seen.real[:0]), rng)
    assert alone[:, 1].min() > 0.7  # the variants' hosts are there
    assert alone[:, 0] == pytest.approx(np.full(LEAST_ROWS, 0.447), abs=0.1)  # and the defect


def test_what_variants_do_not_share_fades(rng: np.random.Generator) -> None:
    """Axis 3 is changed by each variant in its own way, as rendering does: averaged, less of it is left."""
    seen = scene(rng, 200)
    noise = rng.normal(0, 0.5, 200).astype(np.float32)
    noisy = seen.variants + noise[:, None] * np.array([0, 0, 0, 1], np.float32)
    mixed = mix(Seen(noisy, seen.hosts, seen.others, seen.real[:0]), rng)
    assert mixed[:, 3].std() < 0.6 * 0.5


def test_equal_seeds_give_equal_mixtures(rng: np.random.Generator) -> None:
    seen = scene(rng)
    one, two, other = (mix(seen, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (one == two).all()
    assert (one != other).any()
