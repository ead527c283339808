"""Two models on the same images: what differs, how surely, against SciPy and against worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from activesel.rivals import Exam, calibrate, compare, false_reject_rate, mcnemar, recall_alone


def make_exam(n_good: int = 400, n_defects: int = 100, copies: int = 1) -> Exam:
    """Half of the good ones calibrate; defects are of two classes; each image ``copies`` times in its group."""
    truth = np.r_[np.zeros(2 * n_good, np.int64), 1 + np.arange(n_defects) % 2]
    groups, is_test = np.arange(len(truth)), np.arange(len(truth)) >= n_good
    return Exam(("good", "crack", "pit"), truth.repeat(copies), groups.repeat(copies), is_test.repeat(copies), 0)


def make_scores(exam: Exam, recall: float, rng: np.random.Generator, shared: np.ndarray | None = None) -> np.ndarray:
    _, first = np.unique(exam.groups, return_index=True)
    noise = (
        rng.normal(size=len(first)) if shared is None else 0.9 * shared + np.sqrt(0.19) * rng.normal(size=len(first))
    )
    shift = norm.ppf(recall) + norm.ppf(0.95)
    return np.asarray(noise[exam.groups] + shift * (exam.truth > 0))


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (8, 1), (1, 8), (10, 23), (15, 5), (60, 60)])
def test_mcnemar_is_the_exact_test(fixed: int, broken: int) -> None:
    better, worse = mcnemar(fixed, broken)
    n = fixed + broken
    for found, hits in ((better, fixed), (worse, broken)):
        expected = binomtest(hits, n, 0.5, alternative="greater").pvalue if n else 1.0
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_model_does_not_differ_from_itself_yet_few_images_prove_little(rng: np.random.Generator) -> None:
    exam = make_exam(n_defects=20)
    scores = make_scores(exam, 0.9, rng)
    found = compare(exam, scores, scores, 0.05, rng, error=0.05, n_resamples=200)
    assert found.change.value == 0
    assert found.change.low == pytest.approx(-0.075, abs=0.003)  # Agresti and Min, 20 pairs, none of which differs
    assert (found.votes.fixed, found.votes.broken, found.votes.worse) == (0, 0, 1.0)
    assert (found.n_defects, found.n_good) == (20, 800)


def test_recall_is_that_at_the_rate_asked_for(rng: np.random.Generator) -> None:
    exam = make_exam(4000, 2000)
    champion, challenger = make_scores(exam, 0.8, rng), make_scores(exam, 0.9, rng)
    found = compare(exam, champion, challenger, 0.05, rng, error=0.05, n_resamples=200)
    assert found.recalls == pytest.approx((0.8, 0.9), abs=0.03)
    assert found.change.low > 0
    assert [one.name for one in found.classes] == ["crack", "pit"]
    assert all(one.n == 1000 and one.change.low > 0 for one in found.classes)
    alone = recall_alone(exam, challenger, 0.05, rng, error=0.05, n_resamples=200)
    assert alone.value == found.recalls[1]
    assert alone.low < 0.9 < alone.high


def test_bounds_hold_as_often_as_they_say(rng: np.random.Generator) -> None:
    exam = make_exam(300, 150)
    below = 0
    for _ in range(120):
        shared = rng.normal(size=len(exam.truth))
        pair = [make_scores(exam, recall, rng, shared) for recall in (0.8, 0.85)]
        below += compare(exam, *pair, 0.05, rng, error=0.1, n_resamples=100).change.low > 0.05
    assert below / 120 <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 120)
    assert below > 0, "a bound that never fails is too wide"


def test_pictures_of_one_part_are_no_further_evidence(rng: np.random.Generator) -> None:
    """Four pictures a part that are all alike: as much as one."""
    single, fourfold = make_exam(), make_exam(copies=4)
    pair = [make_scores(single, recall, rng) for recall in (0.8, 0.85)]
    one = compare(single, *pair, 0.05, rng, error=0.05, n_resamples=400)
    four = compare(fourfold, *(scores[fourfold.groups] for scores in pair), 0.05, rng, error=0.05, n_resamples=400)
    assert four.votes == one.votes
    assert four.change.value == pytest.approx(one.change.value, abs=0.021)
    assert four.change.low == pytest.approx(one.change.low, abs=0.03)


def test_false_rejects_are_counted_at_the_calibrated_threshold() -> None:
    truth, is_test = np.r_[np.zeros(200, np.int64), 1, 1], np.r_[np.zeros(100, bool), np.ones(102, bool)]
    exam = Exam(("good", "crack"), truth, np.arange(202), is_test, 0)
    scores = np.r_[np.arange(100.0), np.arange(100.0) + 5, 200, 200]
    assert calibrate(exam, scores, 0.02) == 97
    found = false_reject_rate(exam, scores, 0.02, error=0.05)
    assert found is not None
    assert found.value == pytest.approx(0.07)  # 98 .. 104
    assert found.low < 0.07 < found.high


def test_without_a_good_class_an_image_is_found_where_it_is_named_right(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 3, 300)
    exam = Exam(("a", "b", "c"), truth, np.arange(300), np.ones(300, bool), None)
    right = exam.score(np.eye(3)[truth])
    half = np.where(np.arange(300) < 150, right, 0.0)
    found = compare(exam, half, right, 0.02, rng, error=0.05, n_resamples=100)
    assert found.recalls == (0.5, 1.0)
    assert (found.votes.fixed, found.votes.broken, found.spread_threshold) == (150, 0, 0)
    assert false_reject_rate(exam, right, 0.02, error=0.05) is None
