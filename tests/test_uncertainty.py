"""Scores by hand, their ranges as properties, and every way that probabilities can be wrong."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activesel.errors import DataError
from activesel.uncertainty import (
    Reduction,
    check_probs,
    reduce_regions,
    score_bald,
    score_entropy,
    score_least_confidence,
    score_margin,
    temper,
)

PROBS = np.array([[0.5, 0.5, 0.0], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], np.float32)


def test_least_confidence_by_hand() -> None:
    assert score_least_confidence(PROBS) == pytest.approx([0.5, 0.3, 0.0, 2 / 3], abs=1e-6)


def test_margin_by_hand() -> None:
    assert score_margin(PROBS) == pytest.approx([1.0, 0.5, 0.0, 1.0], abs=1e-6)


def test_entropy_by_hand() -> None:
    middle = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1)) / math.log(3)
    assert score_entropy(PROBS) == pytest.approx([math.log(2) / math.log(3), middle, 0.0, 1.0], abs=1e-6)


def test_bald_tells_disagreement_from_shared_doubt() -> None:
    disagree = [[1.0, 0.0], [0.0, 1.0]]
    doubt = [[0.5, 0.5], [0.5, 0.5]]
    agree = [[0.9, 0.1], [0.9, 0.1]]
    assert score_bald(np.array([disagree, doubt, agree])) == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("score", [score_least_confidence, score_margin, score_entropy])
def test_one_class_leaves_nothing_to_doubt(score) -> None:  # type: ignore[no-untyped-def]
    assert score(np.ones((3, 1), np.float32)).tolist() == [0, 0, 0]
    assert score_bald(np.ones((3, 4, 1), np.float32)).tolist() == [0, 0, 0]


raw_rows = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 6)), elements=st.floats(0, 1))


@given(raw_rows)
def test_scores_stay_in_range(raw: npt.NDArray[np.float64]) -> None:
    probs = (raw + 1e-9) / (raw + 1e-9).sum(axis=1, keepdims=True)
    for score in (score_least_confidence, score_margin, score_entropy):
        values = score(probs)
        assert values.dtype == np.float32
        assert values.shape == (len(probs),)
        assert ((values >= 0) & (values <= 1)).all()
    bald = score_bald(np.stack([probs, probs[:, ::-1]], axis=1))
    assert ((bald >= 0) & (bald <= 1)).all()


@given(raw_rows, st.floats(0.01, 100))
def test_temper_keeps_order_and_sum(raw: npt.NDArray[np.float64], temperature: float) -> None:
    probs = (raw + 1e-9) / (raw + 1e-9).sum(axis=1, keepdims=True)
    tempered = temper(probs, temperature)
    assert tempered.sum(axis=1) == pytest.approx(np.ones(len(probs)), abs=1e-5)
    top = probs.argmax(axis=1)[:, None]
    assert (np.take_along_axis(tempered, top, 1)[:, 0] >= tempered.max(axis=1) - 1e-6).all()


def test_temper_by_hand() -> None:
    assert temper(np.array([[0.8, 0.2, 0.0]]), 1.0)[0] == pytest.approx([0.8, 0.2, 0.0])
    assert temper(np.array([[0.8, 0.2]]), 2.0)[0] == pytest.approx([2 / 3, 1 / 3])
    assert temper(np.array([[0.6, 0.4]]), 0.001)[0] == pytest.approx([1, 0])
    with pytest.raises(DataError, match="above 0"):
        temper(PROBS, 0.0)


SCORES = np.array([0.1, 0.9, 0.4, 0.5, 0.2], np.float32)
ROWS = np.array([2, 0, 2, 0, 2])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("max", [0.9, 0.0, 0.4]),
        ("mean_top_k", [0.7, 0.0, 0.3]),
        ("sum", [1 - math.exp(-1.4), 0.0, 1 - math.exp(-0.7)]),
    ],
)
def test_reductions_by_hand(how: Reduction, expected: list[float]) -> None:
    assert reduce_regions(SCORES, ROWS, 3, how, top_k=2) == pytest.approx(expected, abs=1e-6)


def test_mean_of_top_k_where_there_are_fewer() -> None:
    assert reduce_regions(SCORES, ROWS, 3, "mean_top_k", top_k=10) == pytest.approx([0.7, 0.0, 0.7 / 3], abs=1e-6)


@pytest.mark.parametrize("how", ["max", "mean_top_k", "sum"])
def test_no_regions_at_all(how: Reduction) -> None:
    assert reduce_regions(np.zeros(0, np.float32), np.zeros(0, np.int64), 2, how).tolist() == [0, 0]


def test_check_probs_evens_out_rounding() -> None:
    checked = check_probs([[0.3333, 0.6666], [1, 0]], 2, "preds")
    assert checked.dtype == np.float32
    assert checked.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        ([[0.5, 0.5], [np.nan, 1]], r"preds, row 1: a probability is not a finite number; found \[nan, 1\]"),
        ([[0.5, 0.5], [np.inf, 1]], "row 1: a probability is not a finite number"),
        ([[1.5, -0.5]], "row 0: a probability is negative.*logits"),
        ([[0.5, 0.4]], "row 0: probabilities do not sum to 1; found 0.9"),
        ([[2.0, 3.0, 1.0]], "softmax"),
        ([0.5, 0.5], r"found shape \(2,\); expected shape \(n, c\)"),
        ([[], []], "one column per class"),
        ([["a", "b"]], "not numbers"),
    ],
)
def test_wrong_probabilities_are_named(probs: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_probs(probs, None, "preds")  # type: ignore[arg-type]


def test_wrong_row_count() -> None:
    with pytest.raises(DataError, match="found 4; expected 5, one per image"):
        check_probs(PROBS, 5, "preds")
