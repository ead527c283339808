"""With as many labels as are asked for, a decision falls about as often as is said: worlds drawn again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from activesel.power import POWER, Spread, labels_for_change, parts_for_gain, parts_for_share
from activesel.proof import wilson
from activesel.rivals import Exam, compare, mcnemar

ERROR = 0.0125


@pytest.mark.parametrize(("share", "limit"), [(0.02, 0.04), (0.06, 0.04), (0.9, 0.85), (0.005, 0.02)])
def test_a_share_is_told_from_its_limit_as_often_as_is_said(
    share: float, limit: float, rng: np.random.Generator
) -> None:
    n = parts_for_share(share, limit, ERROR)
    assert n is not None

    def decided(n: int) -> float:
        bounds = [wilson(int(hits), n, 1 - 2 * ERROR) for hits in rng.binomial(n, share, 2000)]
        return float(np.mean([one.high <= limit if share < limit else one.low > limit for one in bounds]))

    assert decided(n) == pytest.approx(POWER, abs=0.05)
    assert decided(n // 2) < 0.65


def test_no_number_tells_a_share_from_itself() -> None:
    assert parts_for_share(0.04, 0.04, ERROR) is None
    assert parts_for_share(0.0400001, 0.04, ERROR) is None


def test_mcnemar_finds_a_gain_as_often_as_is_said(rng: np.random.Generator) -> None:
    n = parts_for_gain(30, 10, 300, ERROR)
    assert n is not None
    drawn = rng.multinomial(n, [0.1, 1 / 30, 1 - 0.1 - 1 / 30], 2000)
    assert np.mean([mcnemar(int(a), int(b))[0] <= ERROR for a, b, _ in drawn]) == pytest.approx(POWER, abs=0.06)
    assert parts_for_gain(10, 10, 300, ERROR) is None


def test_a_class_is_shown_not_to_be_worse_as_often_as_is_said(rng: np.random.Generator) -> None:
    """Two models of one worth; what one comparison of 60 parts asks for, then worlds of that size."""

    def world(n_cracks: int) -> tuple[Exam, list[np.ndarray]]:
        truth = np.r_[np.zeros(3000, np.int64), np.ones(n_cracks, np.int64)]
        exam = Exam(("good", "crack"), truth, np.arange(len(truth)), np.arange(len(truth)) >= 1500, 0)
        shared = rng.normal(size=len(truth))
        shift = (norm.ppf(0.9) + norm.ppf(0.98)) * truth
        return exam, [0.9 * shared + np.sqrt(0.19) * rng.normal(size=len(truth)) + shift for _ in range(2)]

    asked = []
    for _ in range(20):
        exam, scores = world(60)
        found = compare(exam, *scores, 0.02, rng, error=0.025, n_resamples=200)  # type: ignore[misc]
        (crack,) = found.classes
        more = labels_for_change(0.1, Spread(crack.spread_found, 60), Spread(crack.spread_threshold, 3000), ERROR)
        assert more is not None
        asked.append(more[0])
    n = 60 + int(np.median(asked))
    assert n > 70
    passed = 0
    for _ in range(60):
        exam, scores = world(n)
        passed += compare(exam, *scores, 0.02, rng, error=ERROR, n_resamples=200).change.low > -0.1  # type: ignore[misc]
    assert passed / 60 >= POWER - 0.15


def test_pairs_that_never_differ_still_need_labels(rng: np.random.Generator) -> None:
    """The bootstrap's spread is 0 there, which would ask for nothing."""
    truth = np.r_[np.zeros(400, np.int64), np.ones(20, np.int64)]
    exam = Exam(("good", "crack"), truth, np.arange(420), np.arange(420) >= 200, 0)
    scores = rng.normal(size=420) + 9.0 * truth
    found = compare(exam, scores, scores, 0.05, rng, error=0.025, n_resamples=100)
    assert found.change.low < -0.05
    more = labels_for_change(0.05, Spread(found.spread_found, 20), Spread(found.spread_threshold, 400), ERROR)
    assert more is not None
    assert more[0] > 20
