"""The three verdicts, each with the reasons that a person needs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from activesel.agreement import Agreement, measure_agreement
from activesel.qualitygate import GoldScore, Thresholds, Verdict, decide, label_more

USUAL = Thresholds(kappa=0.9, low=0.9, positive=0.85, defects=20, gold=0.9)


def agreement(both: int, split: int, none: int) -> Agreement:
    return measure_agreement(np.array([[both, split // 2], [split - split // 2, none]]), np.random.default_rng(0))


def test_many_of_one_mind_pass() -> None:
    decision = decide(agreement(200, 4, 796), [], USUAL)
    assert decision.verdict is Verdict.passed
    assert decision.n_more is None
    assert "at least 0.9" in decision.reasons[0]


def test_many_disagreements_fail() -> None:
    decision = decide(agreement(100, 60, 840), [], USUAL)
    assert decision.verdict is Verdict.failed
    assert "surely below 0.9" in decision.reasons[0]


@pytest.mark.parametrize("table", [np.diag([1, 1, 0, 0]), np.diag([1, 0])])
def test_few_pairs_of_one_mind_do_not_fail(table: npt.NDArray[np.int64]) -> None:
    found = measure_agreement(table, np.random.default_rng(0))
    assert found.at_most < USUAL.kappa, "the prior alone would fail them"
    assert decide(found, [], USUAL).verdict is Verdict.inconclusive


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (agreement(12, 0, 188), "12 images that anybody called a defect"),
        (agreement(30, 2, 268), "not surely at least 0.9"),
        (agreement(30, 6, 264), "below 0.9, but not surely"),
        (agreement(0, 0, 300), "kappa is undefined"),
    ],
    ids=["few defects", "high", "low", "one class"],
)
def test_what_is_not_known_yet(found: Agreement, said: str) -> None:
    decision = decide(found, [], USUAL)
    assert decision.verdict is Verdict.inconclusive
    assert any(said in reason for reason in decision.reasons), decision.reasons
    assert decision.n_more
    assert decision.reasons[-1] == f"label {decision.n_more} more images twice"


def test_nobody_and_nothing() -> None:
    assert decide(None, [], USUAL).verdict is Verdict.inconclusive


def test_gold_fails_whatever_the_kappa() -> None:
    good = agreement(200, 4, 796)
    assert decide(good, [GoldScore("bob", 50, 30, 0.6, 0.46, 0.72)], USUAL).verdict is Verdict.failed
    assert decide(good, [GoldScore("bob", 5, 4, 0.8, 0.38, 0.96)], USUAL).verdict is Verdict.passed


def test_what_is_too_near_says_so() -> None:
    near = agreement(200, 41, 760)
    assert near.kappa == pytest.approx(0.885, abs=0.01)
    exact = Thresholds(kappa=near.kappa - 0.0005, low=near.kappa, positive=0.5, defects=20, gold=0.9)  # type: ignore[operator]
    decision = decide(near, [], exact)
    assert decision.n_more is None
    assert "mend the guideline" in decision.reasons[-1]


def test_as_many_more_as_it_says_do_decide() -> None:
    """Of a hundred such cases, with what was asked for added, most end with a verdict."""
    found = agreement(38, 4, 358)
    assert decide(found, [], USUAL).verdict is Verdict.inconclusive
    n_more, rng = label_more(found, USUAL), np.random.default_rng(1)
    assert n_more is not None
    cells = np.array([38, 2, 2, 358]) / 400
    tables = np.array([38, 2, 2, 358]) + rng.multinomial(n_more, cells, size=60)
    verdicts = [decide(measure_agreement(one.reshape(2, 2), rng), [], USUAL).verdict for one in tables]
    assert np.mean([one is not Verdict.inconclusive for one in verdicts]) > 0.7


def test_the_bounds_of_the_next_look_take_more() -> None:
    found = agreement(30, 2, 268)
    assert (label_more(found, USUAL, 0.01) or 0) > (label_more(found, USUAL, 0.05) or 0) > 0
    assert decide(found, [], USUAL, next_bound=0.01).n_more == label_more(found, USUAL, 0.01)


@pytest.mark.parametrize(
    ("own", "verdict", "said"),
    [
        (agreement(20, 0, 80), Verdict.passed, "at least 0.9"),
        (agreement(10, 4, 86), Verdict.inconclusive, "of this batch itself kappa"),
        (agreement(4, 0, 96), Verdict.inconclusive, "it takes 5"),
        (agreement(0, 0, 96), Verdict.inconclusive, "it takes 5"),
        (agreement(20, 30, 50), Verdict.failed, "surely below"),
    ],
    ids=["good", "doubtful", "few defects", "none", "bad"],
)
def test_a_batch_that_is_judged_with_others_must_not_be_bad_itself(own: Agreement, verdict: Verdict, said: str) -> None:
    decision = decide(agreement(200, 4, 796), [], USUAL, own=own)
    assert decision.verdict is verdict
    assert any(said in reason for reason in decision.reasons), decision.reasons
