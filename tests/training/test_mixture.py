"""Mixing real and made images: folds that split no group, weights that hold, a share that follows the evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activesel.promotion import average_precision
from activesel.training import mixture
from activesel.training.mixture import Labelled, Made, choose_share, deal_folds, score_with

RARE = 1


def scene(n_rare: int, seed: int = 0) -> tuple[Labelled, Labelled]:
    """Two overlapping classes in 6 dimensions; few rare ones to learn from, many rows to test on."""
    rng = np.random.default_rng(seed)
    sides = []
    for count, first in ((n_rare, 0), (80, 1000)):
        classes = np.array([RARE] * count + [0] * 120)
        vectors = rng.standard_normal((len(classes), 6)) * 0.5
        vectors[:, 0] += np.where(classes == RARE, 0.6, -0.6)
        vectors[:, 1] += 1
        sides.append(Labelled(unit(vectors), classes, first + np.arange(len(classes)), 2))
    return sides[0], sides[1]


def made_at(offset: float, n: int = 60, *, seed: int = 5) -> Made:
    """Made images of the rare class around ``offset`` on the axis that tells the classes apart; 0.6 is the truth."""
    vectors = np.random.default_rng(seed).standard_normal((n, 6)) * 0.5
    vectors[:, 0] += offset
    vectors[:, 1] += 1
    return Made(unit(vectors), RARE, np.full((n, 1), -1))


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_folds_split_no_group_and_deal_each_class() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 300)
    classes = (groups < 10).astype(int)
    folds = deal_folds(classes, groups, 5, np.random.default_rng(1))
    for group in range(60):
        assert len(np.unique(folds[groups == group])) <= 1
    rare = [len(np.unique(groups[(folds == fold) & (classes == 1)])) for fold in range(5)]
    assert max(rare) - min(rare) <= 1


def test_good_images_help_and_bad_ones_hurt() -> None:
    train, test = scene(3)
    is_rare = test.classes == RARE
    plain, good, bad = (
        average_precision(score_with(train, made, 0.5, test.vectors)[:, RARE], is_rare)[0]
        for made in (None, made_at(0.6), made_at(-2.0))
    )
    assert bad < plain < good


def test_share_nothing_is_real_only() -> None:
    train, test = scene(6)
    np.testing.assert_array_equal(
        score_with(train, made_at(0.6), 0.0, test.vectors), score_with(train, None, 0.5, test.vectors)
    )


def test_real_images_keep_their_share_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = scene(6)
    seen = []

    def watch(vectors, classes, n_classes, *, strength, weights):  # type: ignore[no-untyped-def]
        seen.append((classes, weights))
        return fit(vectors, classes, n_classes, strength=strength, weights=weights)

    fit = mixture.fit_head
    monkeypatch.setattr(mixture, "fit_head", watch)
    score_with(train, made_at(0.6, 50), 0.25, test.vectors)
    classes, weights = seen[0]
    assert weights.sum() == pytest.approx(len(train.classes))
    assert weights[-50:].sum() / weights[classes == RARE].sum() == pytest.approx(0.25)


def test_the_share_follows_the_inner_folds() -> None:
    train, _ = scene(12)
    share, tried = choose_share(train, made_at(-2.0), seed=0)
    assert share < 0.5
    assert tried[0.5] < tried[0.0]
    assert set(tried) == set(mixture.SHARES)
    tuned = [choose_share(scene(5, seed)[0], made_at(0.6), seed=0)[0] for seed in range(6)]
    assert np.mean(np.array(tuned) > 0) > 0.5
    assert choose_share(train, made_at(-2.0), seed=0) == (share, tried)


def test_one_group_cannot_be_held_out() -> None:
    train, _ = scene(1)
    assert choose_share(train, made_at(0.6), seed=0) == (mixture.UNTESTED_SHARE, {})


def test_mixtures_need_no_choice_of_their_share() -> None:
    train, _ = scene(12)
    hosts = unit(np.random.default_rng(2).standard_normal((60, 6)))
    made = replace(made_at(-2.0), hosts=hosts, host_classes=np.zeros(60, np.int64))
    assert choose_share(train, made, seed=0) == (mixture.UNTESTED_SHARE, {})


def test_images_whose_hosts_are_known_are_mixed() -> None:
    """Made images that sit on hosts of another kind: as they are the head learns the hosts, mixed it does not."""
    train, test = scene(3)
    rng, is_rare = np.random.default_rng(3), test.classes == RARE
    hosts = unit(0.1 * rng.standard_normal((60, 6)) + np.array([-0.6, 0, 2, 0, 0, 0]))
    vectors = hosts + np.array([1.0, 0, 0, 0, 0, 0], np.float32)
    as_they_are = Made(np.asarray(vectors, np.float32), RARE, np.full((60, 1), -1))
    mixed = replace(as_they_are, hosts=hosts, host_classes=np.zeros(60, np.int64))
    plain, better = (
        average_precision(score_with(train, made, 0.5, test.vectors)[:, RARE], is_rare)[0]
        for made in (as_they_are, mixed)
    )
    assert better > plain
    assert mixed.without(np.array([7])).hosts is not None


def test_what_comes_from_a_held_out_group_is_left_out() -> None:
    made = Made(np.eye(4, dtype=np.float32), RARE, np.array([[1, 7], [2, 8], [3, -1], [2, 7]]))
    assert made.without(np.array([7])).sources.tolist() == [[2, 8], [3, -1]]
    assert made.without(np.array([2, 3])).sources.tolist() == [[1, 7]]


def test_inner_folds_never_fit_on_variants_of_what_they_hold_out() -> None:
    """Made images that are copies of the very images held out would look like a great help."""
    train, _ = scene(6, seed=3)
    own = train.classes == RARE
    copies = Made(np.repeat(train.vectors[own], 10, axis=0), RARE, np.repeat(train.groups[own], 10)[:, None])
    honest = choose_share(train, copies, seed=0)[1]
    leaky = choose_share(train, Made(copies.vectors, RARE, np.full_like(copies.sources, -1)), seed=0)[1]
    assert leaky[0.5] > honest[0.5]


def test_projection_is_the_leading_singular_space() -> None:
    rng = np.random.default_rng(0)
    rows = unit(rng.standard_normal((200, 400)))
    ours = mixture._principal(rows)
    theirs = np.linalg.svd(rows, full_matrices=False)[2][: mixture.COMPONENTS].T
    assert np.abs(ours @ ours.T - theirs @ theirs.T).max() < 1e-3
