"""Figures against scikit-learn and by hand; intervals against worlds drawn again."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score

from activesel.calibration import expected_calibration_error
from activesel.evaluation import Answers, evaluate
from activesel.proof import reject_threshold


def make_answers(rng: np.random.Generator, n: int = 1200, good: int | None = 0, sure: float = 2.5) -> Answers:
    truth = rng.choice(3, n, p=[0.8, 0.15, 0.05])
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), truth] += sure
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(probs, truth, np.arange(n), np.arange(n) >= n // 3, good)


def test_figures_are_those_of_others(rng: np.random.Generator) -> None:
    answers = make_answers(rng)
    found = evaluate(answers, 0.05, rng, n_resamples=50)
    test = answers.is_test
    probs, truth, score = answers.probs[test], answers.truth[test], answers.score
    likeliest = probs.argmax(axis=1)
    threshold = reject_threshold(score[~test & (answers.truth == 0)], 0.05)
    assert found.threshold == threshold
    assert found.recall is not None
    assert found.false_rejects is not None
    assert found.auprc is not None
    assert found.recall.value == pytest.approx((score[test][truth > 0] > threshold).mean())
    assert found.false_rejects.value == pytest.approx((score[test][truth == 0] > threshold).mean())
    assert found.auprc.value == pytest.approx(average_precision_score(truth > 0, score[test]))
    assert found.macro_f1.value == pytest.approx(f1_score(truth, likeliest, average="macro"))
    assert found.calibration.value == pytest.approx(expected_calibration_error(probs.max(axis=1), likeliest == truth))
    assert found.confusion.tolist() == confusion_matrix(truth, likeliest).tolist()
    for one in found.classes:
        own = truth == one.code
        assert one.n == own.sum()
        assert one.auprc.value == pytest.approx(average_precision_score(own, probs[:, one.code]))
        assert one.f1.value == pytest.approx(f1_score(own, likeliest == one.code))
        assert one.found is not None
        assert one.found.low <= one.found.value <= one.found.high
    assert found.classes[0].found is not None
    assert found.classes[0].found.value == pytest.approx(1 - found.false_rejects.value)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """The truth is that of a large sample; 60 small ones, 95 % intervals."""
    rng = np.random.default_rng(1)
    truth = evaluate(make_answers(rng, 60_000), 0.05, rng, n_resamples=2)
    missed = {"recall": 0, "macro_f1": 0, "auprc": 0}
    for _ in range(60):
        found = evaluate(make_answers(rng, 600), 0.05, rng, n_resamples=100)
        for name in missed:
            one, true = getattr(found, name), getattr(truth, name)
            missed[name] += not one.low <= true.value <= one.high
    assert all(count <= 10 for count in missed.values()), missed


def test_parts_of_a_group_widen_the_interval(rng: np.random.Generator) -> None:
    one = make_answers(rng, 300)
    four = Answers(*(np.repeat(a, 4, axis=0) for a in (one.probs, one.truth, one.groups, one.is_test)), 0)
    apart = Answers(four.probs, four.truth, np.arange(1200), four.is_test, 0)
    together, alone = (evaluate(each, 0.05, np.random.default_rng(0), n_resamples=200) for each in (four, apart))
    assert together.macro_f1.value == alone.macro_f1.value
    assert together.macro_f1.high - together.macro_f1.low > 1.5 * (alone.macro_f1.high - alone.macro_f1.low)


def test_slices_are_measured_at_the_one_threshold(rng: np.random.Generator) -> None:
    answers = make_answers(rng)
    left = answers.groups % 2 == 0
    found = evaluate(answers, 0.05, rng, parts={"left": left, "good only": answers.is_good, "none": left & False},
                     n_resamples=50)  # fmt: skip
    assert set(found.parts) == {"left", "good only"}
    part = found.parts["left"]
    rows = answers.is_test & left & ~answers.is_good
    assert part.n_defects == rows.sum()
    assert part.recall is not None
    assert part.recall.value == pytest.approx((answers.score[rows] > found.threshold).mean())
    assert found.parts["good only"].recall is None


def test_without_a_good_class_there_is_no_threshold(rng: np.random.Generator) -> None:
    found = evaluate(make_answers(rng, good=None), 0.05, rng, n_resamples=20)
    assert (found.threshold, found.recall, found.false_rejects, found.auprc) == (None, None, None, None)
    assert found.macro_f1.value > 0.5
    assert found.classes[1].found is None


def test_reliability_is_of_the_defect_and_of_the_likeliest_class(rng: np.random.Generator) -> None:
    answers = make_answers(rng)
    found = evaluate(answers, 0.05, rng, n_resamples=50)
    test = answers.is_test
    defect, likeliest = found.reliability["defect"], found.reliability["likeliest"]
    assert sum(one.n for one in defect.bins) == sum(one.n for one in likeliest.bins) == test.sum()
    top = defect.bins[-1]
    rows = test & (answers.score >= top.low)
    assert top.observed.value == pytest.approx((answers.truth[rows] > 0).mean())
    by_hand = sum(one.n * abs(one.predicted - one.observed.value) for one in defect.bins) / test.sum()
    assert defect.error.value == pytest.approx(by_hand)
    assert defect.error.low <= defect.error.value < defect.error.high
    assert set(evaluate(make_answers(rng, good=None), 0.05, rng, n_resamples=5).reliability) == {"likeliest"}


def test_a_model_that_overstates_lies_below_the_diagonal(rng: np.random.Generator) -> None:
    honest = rng.uniform(0, 1, 4000)
    truth = (rng.random(4000) < honest).astype(int)
    told = np.clip(1.5 * (honest - 0.5) + 0.5, 0, 1)  # too low where low, too high where high

    def look(probs: np.ndarray) -> tuple[float, list[float]]:
        rows = Answers(np.stack([1 - probs, probs], axis=1), truth, np.arange(4000), np.arange(4000) >= 1000, 0)
        one = evaluate(rows, 0.05, rng, n_resamples=50).reliability["defect"]
        return one.error.value, [each.predicted - each.observed.value for each in one.bins]

    (fair, _), (worse, gaps) = look(honest), look(told)
    assert worse > 3 * fair
    assert gaps[0] < -0.05
    assert gaps[-1] > 0.05


def test_other_rates_have_thresholds_of_the_validation_side(rng: np.random.Generator) -> None:
    answers = make_answers(rng)
    found = evaluate(answers, 0.05, rng, n_resamples=50)
    assert [one.rate for one in found.rates] == [0.005, 0.01, 0.02, 0.05, 0.1], "of 300-odd good ones 0.002 is none"
    for one in found.rates:
        threshold = reject_threshold(answers.score[~answers.is_test & answers.is_good], one.rate)
        above = answers.score[answers.is_test] > threshold
        assert one.recall.value == pytest.approx(above[answers.truth[answers.is_test] > 0].mean())
        assert one.false_rejects.value == pytest.approx(above[answers.truth[answers.is_test] == 0].mean())
        assert one.recall.low < one.recall.value < one.recall.high
    assert found.rates[3].recall.value == found.recall.value  # type: ignore[union-attr]
    assert evaluate(make_answers(rng, good=None), 0.05, rng, n_resamples=5).rates == ()


@pytest.mark.slow
def test_ten_thousand_images_take_seconds(rng: np.random.Generator) -> None:
    began = time.process_time()
    evaluate(make_answers(rng, 15_000), 0.02, rng, n_resamples=1000)
    assert time.process_time() - began < 60
