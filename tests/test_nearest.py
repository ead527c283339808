"""Exact nearest anchors against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from activesel import nearest
from activesel.nearest import find_nearest, find_nearest_k
from tests.strategies.pools import unit


@pytest.mark.parametrize("block", [3, 7, 4096])
def test_equals_brute_force_whatever_the_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "BLOCK_ROWS", block)
    monkeypatch.setattr(nearest, "BLOCK_ANCHORS", block)
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(50, 6)))
    anchors = rng.permutation(50)[:12]
    cosine = vectors @ vectors[anchors].T
    similarity, position = find_nearest(vectors, anchors)
    assert similarity == pytest.approx(cosine.max(axis=1), abs=1e-6)
    assert position.tolist() == cosine.argmax(axis=1).tolist()
    expected = -np.sort(-cosine[:20], axis=1)[:, :5]
    assert find_nearest_k(vectors, np.arange(20), anchors, 5) == pytest.approx(expected, abs=1e-6)


def test_no_anchor() -> None:
    similarity, position = find_nearest(unit(np.ones((3, 2))), np.empty(0, np.int64))
    assert similarity.tolist() == [-1, -1, -1]
    assert position.tolist() == [-1, -1, -1]


def test_an_anchor_is_nearest_to_itself_even_among_twins() -> None:
    twins = np.repeat(unit(np.eye(2)), 2, axis=0)
    assert find_nearest(twins, np.array([1, 0, 3]))[1].tolist() == [1, 0, 2, 2]


@pytest.mark.parametrize("kind", ["random", "copies", "zeros", "near ties", "opposite"])
def test_many_anchors_are_searched_roughly_first_and_found_exactly(
    rng: np.random.Generator, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above EXACT_UP_TO anchors bfloat16 rules out groups; what is left must be the plain answer, ties included."""
    monkeypatch.setattr(nearest, "EXACT_UP_TO", 60)
    monkeypatch.setattr(nearest, "GROUP", 16)
    monkeypatch.setattr(nearest, "STEP_ANCHORS", 48)
    vectors = rng.normal(size=(900, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if kind == "copies":
        vectors[100:600] = vectors[0]
    if kind == "zeros":
        vectors[200:700] = 0
    if kind == "near ties":  # apart by less than bfloat16 can tell
        vectors = vectors[:1] + 1e-3 * vectors
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    anchors = rng.permutation(900)[:203]
    if kind == "opposite":  # every product is negative, where the order of the bits is turned round
        half = rng.normal(size=(900, 24)).astype(np.float32)
        half[:, 0] = np.where(np.isin(np.arange(900), anchors), 9, -9)
        vectors = half / np.linalg.norm(half, axis=1, keepdims=True)
    similarity, position = find_nearest(vectors, anchors)
    plain = vectors.astype(np.float64) @ vectors[anchors].T.astype(np.float64)
    np.testing.assert_allclose(similarity, plain.max(axis=1).clip(-1, 1), atol=1e-6)
    np.testing.assert_allclose(plain[np.arange(900), position], plain.max(axis=1), atol=1e-6)
    assert (position[anchors] == np.arange(len(anchors))).all()
    if kind in ("copies", "zeros"):
        copies = np.setdiff1d(np.arange(900), anchors)
        first = plain[copies].argmax(axis=1)
        assert (position[copies] == first).mean() > 0.99  # rounding alone may part equal ones
