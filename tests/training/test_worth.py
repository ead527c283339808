"""What more labels are worth: by-hand curves, honest refusals, and a pool where the truth is known."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import pytest

from activesel.errors import DataError
from activesel.records import IntArray
from activesel.training.folds import deal_groups
from activesel.training.signals import PART_SHARES, Signals, expect_f1, macro_f1, measure_signals
from activesel.training.worth import (
    REACH,
    Errors,
    Evaluation,
    Worth,
    describe_worth,
    estimate_worth,
    judge,
)

Vectors = npt.NDArray[np.float32]
EXACT = Errors(0.05, 0.01, 0.0)


def make_signals(ceiling: float = 0.8, size: float = 0.2, power: float = 0.5, n_labels: int = 400) -> Signals:
    """What is seen of a known curve: ceiling - size * (labels / n_labels) ** -power."""
    labels = np.array(PART_SHARES) * n_labels
    believed = ceiling - size * (labels / n_labels) ** -power
    return Signals(n_labels, 3, labels[-1:], np.array([0.5]), labels, believed, np.array([0.4, 0.3]))


def make_pool(n: int = 400, spread: float = 0.8, n_classes: int = 3, seed: int = 0) -> tuple[Vectors, IntArray]:
    """Unit rows around one centre a class; row i is of class i % n_classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % n_classes
    rows = rng.normal(size=(n_classes, 16))[classes] + spread * rng.normal(size=(n, 16)) * 2
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), classes


def all_numbers(worth: Worth) -> list[float]:
    points = [value for point in (*worth.measured, *worth.ahead) for value in asdict(point).values()]
    return [value for value in (*vars(worth).values(), *points) if isinstance(value, float)]


# The curve, by hand


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_a_known_curve_is_recovered(power: float) -> None:
    worth = judge(make_signals(power=power), budget=400, least_gain=0.01, errors=EXACT)
    assert worth.score == pytest.approx(0.6)
    assert worth.gain == pytest.approx(0.2 - 0.2 * 2**-power, abs=0.01)
    assert worth.ceiling == pytest.approx(0.8, abs=0.1)
    assert worth.gain_high - worth.gain_low == pytest.approx(0.02)
    assert [point.labels for point in worth.ahead[:2]] == [400, 800]
    assert worth.ahead[1].score == pytest.approx(worth.score + worth.gain)
    assert [point.labels for point in worth.measured] == [100, 200, 400]


def test_enough_is_where_a_batch_brings_less() -> None:
    # As one over the labels: from n a batch of 400 brings 80 / n - 80 / (n + 400): 0.100 at 400, 0.033 at 800, 0.017
    # at 1,200, 0.010 at 1,600.
    signals = make_signals(power=1.0)
    found = [judge(signals, budget=400, least_gain=least, errors=EXACT).enough_at for least in (0.2, 0.05, 0.025, 1e-4)]
    assert found == [400, 800, 1200, None]


def test_a_curve_that_does_not_rise_has_nothing_ahead() -> None:
    for size in (0.0, -0.1):
        worth = judge(make_signals(size=size), budget=50, least_gain=0.01, errors=EXACT)
        assert worth.gain == pytest.approx(0.0)
        assert worth.enough_at == 400


def test_nobody_is_better_than_right() -> None:
    worth = judge(make_signals(ceiling=1.3, size=0.4), budget=4000, least_gain=0.01, errors=EXACT)
    assert worth.ceiling <= 1
    assert worth.gain <= worth.gain_high <= 0.1 + 1e-9
    known = judge(make_signals(), budget=4000, least_gain=0.01, known=(0.99, 0.97, 1.0), errors=EXACT)
    assert known.gain == pytest.approx(0.01)


def test_a_known_score_moves_the_curve() -> None:
    plain = judge(make_signals(), budget=400, least_gain=0.01, errors=EXACT)
    known = judge(make_signals(), budget=400, least_gain=0.01, known=(0.5, 0.45, 0.55), errors=EXACT)
    assert (known.score, known.gain) == (0.5, plain.gain)
    assert known.ahead[1].score == pytest.approx(plain.ahead[1].score - 0.1)


def test_of_many_labels_a_sample_is_looked_at() -> None:
    seen = make_signals(power=1.0, n_labels=2000)  # 0.6 at 2,000 labels, so 0.7 at 4,000
    worth = judge(replace(seen, n_labels=4000), budget=4000, least_gain=0.01, errors=EXACT)
    assert worth.score == pytest.approx(0.7, abs=0.01)
    assert worth.gain == pytest.approx(0.05, abs=0.01)
    vectors, classes = make_pool(2500)
    found = measure_signals(vectors, classes, vectors[:100])
    assert (found.n_labels, found.part_labels.tolist()) == (2500, [500.0, 1000.0, 2000.0])


def test_a_million_labels_and_a_budget_of_one() -> None:
    worth = judge(make_signals(n_labels=1_000_000), budget=1, least_gain=0.01)
    assert worth.enough_at == 1_000_000


def test_sentences() -> None:
    def say(least_gain: float) -> str:
        worth = judge(make_signals(power=1.0), budget=400, least_gain=least_gain, errors=EXACT)
        return describe_worth(replace(worth, gain=0.1, gain_low=-0.0004, gain_high=0.11))

    start = "the next 400 labels are expected to raise macro-F1 by 0.100 (0.000 .. 0.110); "
    assert say(0.025) == start + "below 0.025 per batch after about 1,200 labels"
    assert say(0.2) == start + "that is less than the 0.2 a batch should bring"
    assert say(0.0001) == start + "when a batch brings less than 0.0001 is not within reach of an estimate"


# The signals


def test_macro_f1_by_hand() -> None:
    truth, said = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert macro_f1(truth, said, 3) == pytest.approx((1 + 2 / 3) / 2)
    assert macro_f1(truth, said, 3, either=True) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert expect_f1(np.array([[1.0, 0.0], [0.0, 1.0]])) == 1.0
    assert expect_f1(np.array([[0.75, 0.25]])) == pytest.approx((2 * 0.75 / 1.75 + 0) / 2)
    assert expect_f1(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0])) == pytest.approx((2 / 3 + 0) / 2)


def test_a_group_is_never_split() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        groups, classes = rng.integers(30, size=100), rng.integers(3, size=100)
        parts = deal_groups(classes, groups, 4, rng)
        assert all(len(np.unique(parts[groups == group])) == 1 for group in groups)
        assert set(parts.tolist()) == {0, 1, 2, 3}


def test_parts_have_their_share_of_every_class() -> None:
    classes = np.repeat([0, 1, 2], [60, 20, 4])
    parts = deal_groups(classes, np.arange(84), 4, np.random.default_rng(0))
    assert [np.bincount(parts[classes == c]).tolist() for c in range(3)] == [[15] * 4, [5] * 4, [1] * 4]


def test_copies_do_not_flatter() -> None:
    vectors, classes = make_pool(40)
    twice, names = np.concatenate([vectors] * 4), np.concatenate([classes] * 4)
    by_row = measure_signals(twice, names, vectors)
    by_group = measure_signals(twice, names, vectors, groups=np.tile(np.arange(40), 4))
    assert by_group.held_out < by_row.held_out - 0.1


def test_an_easy_pool_has_less_to_gain_than_a_hard_one() -> None:
    easy, hard = (
        estimate_worth(vectors[:60], classes[:60], vectors, budget=20, least_gain=0.01)
        for vectors, classes in (make_pool(spread=0.1), make_pool(spread=0.8))
    )
    assert easy.gain < hard.gain
    assert easy.score > hard.score
    assert easy.enough_at is not None
    assert easy.enough_at <= (hard.enough_at or REACH * 60)


def test_the_same_input_gives_the_same_answer() -> None:
    vectors, classes = make_pool()
    first, again = (estimate_worth(vectors[:50], classes[:50], vectors, budget=20, least_gain=0.01) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    "classes",
    [
        np.zeros(40, np.int64),
        np.repeat([0, 1], [39, 1]),
        np.array([0, 1] * 5),
        np.empty(0, np.int64),
    ],
    ids=["one class", "one label of the other", "ten labels", "none"],
)
def test_too_few_labels_are_said(classes: IntArray) -> None:
    vectors = make_pool(40)[0][: len(classes)]
    with pytest.raises(DataError, match="too few labels"):
        estimate_worth(vectors, classes, make_pool(40)[0], budget=20, least_gain=0.01)


def test_copies_of_one_image_are_too_few() -> None:
    vectors, classes = make_pool(40)
    with pytest.raises(DataError, match="too few labels"):
        estimate_worth(vectors, classes, vectors, budget=20, least_gain=0.01, groups=np.zeros(40, np.int64))


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("seed", range(3))
def test_never_nan_and_in_range(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, _ = make_pool(60, seed=seed)
    classes = np.concatenate([[0, 0, 1, 1], rng.integers(n_classes, size=16)])
    vectors[10:14] = vectors[10]
    worth = estimate_worth(vectors[:20], classes, vectors, budget=500, least_gain=0.01, seed=seed,
                           groups=rng.integers(12, size=20) if seed else None)  # fmt: skip
    assert np.isfinite(all_numbers(worth)).all()
    assert 0 <= worth.score_low <= worth.score <= worth.score_high <= 1
    assert worth.gain_low <= worth.gain <= worth.gain_high
    assert worth.score <= worth.ceiling <= 1
    assert all(0 <= point.low <= point.score <= point.high <= 1 for point in (*worth.ahead, *worth.measured))


def test_equal_vectors_are_no_trouble() -> None:
    vectors = np.tile(np.float32([[1, 0]]), (30, 1))
    worth = estimate_worth(vectors, np.arange(30) % 2, vectors, budget=10, least_gain=0.01)
    assert np.isfinite(all_numbers(worth)).all()


# Evaluation labels


def test_evaluation_labels_tell_the_score() -> None:
    vectors, classes = make_pool(700, spread=0.6)
    tested = Evaluation(vectors[100:400], classes[100:400])
    without = estimate_worth(vectors[:100], classes[:100], vectors, budget=20, least_gain=0.01)
    worth = estimate_worth(vectors[:100], classes[:100], vectors, budget=20, least_gain=0.01, tested=tested)
    assert (without.told_by, worth.told_by) == ("pool", "evaluation labels")
    assert worth.score_high - worth.score_low < 0.1
    few = replace(tested, vectors=tested.vectors[:40], classes=tested.classes[:40])
    assert estimate_worth(vectors[:100], classes[:100], vectors, budget=20, least_gain=0.01, tested=few) == without


def test_a_class_that_only_evaluation_labels_know_counts_as_missed() -> None:
    vectors, classes = make_pool(400, spread=0.1, n_classes=4)
    known = np.flatnonzero(classes[:100] < 3)
    tested = Evaluation(vectors[100:], classes[100:])
    worth = estimate_worth(vectors[known], classes[known], vectors, budget=20, least_gain=0.01, tested=tested)
    assert worth.score < 0.76
