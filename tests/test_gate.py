"""Each rule of the gate can promote, hold or reject, says why, and how many labels would tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from activesel.gate import Needed, Outcome, Rules, judge, judge_first, label_more, spend
from activesel.proof import Interval
from activesel.rivals import Bounds, ClassChange, Comparison, Votes, mcnemar

RULES = Rules(0.02, 0.04, 0.02, 0.05, 0.05, False, ("crack",), 20, 20, 0.5)
REJECTS = Interval(0.02, 0.016, 0.026)


def votes(fixed: int, broken: int, n: int = 300) -> Votes:
    return Votes(fixed, broken, n, *mcnemar(fixed, broken))


def change(value: float, half: float = 0.02) -> Bounds:
    return Bounds(value, value - half, value + half)


def crack(value: float = 0.0, half: float = 0.04, fixed: int = 3, broken: int = 3, n: int = 100) -> ClassChange:
    return ClassChange("crack", n, change(value, half), votes(fixed, broken, n))


GOOD = Comparison((0.85, 0.88), change(0.03), votes(15, 6), (crack(),), 0.008, 0.006, 300, 6000)


def outcome(found: Comparison, rejects: Interval | None = REJECTS, rules: Rules = RULES, look: int = 1) -> Outcome:
    return judge(found, rejects, rules, look).outcome


def test_a_challenger_that_is_better_is_promoted_and_told_why() -> None:
    verdict = judge(GOOD, REJECTS, RULES, 1)
    assert verdict.outcome is Outcome.promote
    assert "surely better; 15 parts fixed, 6 broken" in verdict.reasons[0]
    assert "within the budget of 0.04" in verdict.reasons[1]
    assert verdict.more is None


@pytest.mark.parametrize(
    ("found", "expected", "reason"),
    [
        (replace(GOOD, change=change(0.01)), "promote", "surely not worse by 0.02"),
        (replace(GOOD, change=change(0.0, 0.03)), "hold", "it may be worse by more than 0.02"),
        (replace(GOOD, change=change(-0.005, 0.01)), "hold", "nothing speaks for it"),
        (replace(GOOD, change=change(-0.03)), "reject", "surely worse"),
        (replace(GOOD, votes=votes(2, 14)), "reject", "no chance (McNemar, p 0.0021)"),
        (replace(GOOD, n_defects=19), "hold", "19 parts with a defect test"),
        (replace(GOOD, classes=(crack(half=0.06),)), "hold", "crack (100 parts): recall +0.000 (-0.060 to +0.060)"),
        (replace(GOOD, classes=(crack(-0.1),)), "reject", "critical, and surely worse by 0.05"),
        (replace(GOOD, classes=(crack(n=19),)), "hold", "crack is critical, and 19 parts of it test"),
        (replace(GOOD, classes=()), "hold", "crack is critical, and 0 parts of it test"),
        (replace(GOOD, classes=(crack(), replace(crack(fixed=0, broken=9), name="pit"))), "reject", "pit (100 parts)"),
    ],
)  # fmt: skip
def test_each_rule_can_fire(found: Comparison, expected: str, reason: str) -> None:
    verdict = judge(found, REJECTS, RULES, 1)
    assert verdict.outcome == expected, verdict
    assert reason in "; ".join(verdict.reasons)


def test_a_class_of_many_must_fall_further_to_be_no_chance() -> None:
    fallen = replace(crack(fixed=0, broken=6), name="a")
    assert fallen.votes.worse == 1 / 64
    assert outcome(replace(GOOD, classes=(crack(), replace(fallen, votes=votes(0, 7))))) == "reject"
    assert outcome(replace(GOOD, classes=(crack(), fallen))) == "promote"
    others = tuple(replace(crack(), name=str(i)) for i in range(8))
    assert outcome(replace(GOOD, classes=(crack(), replace(fallen, votes=votes(0, 7)), *others))) == "promote"


@pytest.mark.parametrize(
    ("rejects", "expected"),
    [(Interval(0.02, 0.015, 0.041), "hold"), (Interval(0.06, 0.041, 0.08), "reject"), (None, "promote")],
)
def test_false_rejects_have_a_budget(rejects: Interval | None, expected: str) -> None:
    assert outcome(GOOD, rejects) == expected


def test_where_it_must_gain_not_being_worse_is_too_little() -> None:
    strict = replace(RULES, must_gain=True)
    assert outcome(GOOD, rules=strict) == "hold"  # McNemar, p .039, is above .025
    assert outcome(replace(GOOD, votes=votes(20, 4)), rules=strict) == "promote"
    assert outcome(replace(GOOD, votes=votes(20, 4), change=change(0.01)), rules=strict) == "hold"


def test_all_looks_together_spend_the_error_once() -> None:
    assert sum(spend(0.05, look) for look in range(1, 60)) == pytest.approx(0.05)
    broken = replace(GOOD, votes=votes(4, 13))  # p .025 .. .006
    assert 0.0125 < broken.votes.worse < 0.025
    assert outcome(broken, look=1) == "reject"
    assert outcome(broken, look=2) == "promote"


def test_more_labels_are_asked_of_the_side_that_is_unsure() -> None:
    unsure = replace(GOOD, change=change(0.01, 0.04), spread_found=0.02, spread_threshold=0.002)
    assert label_more(unsure, RULES, 1) == Needed(1024, 0)
    other = label_more(replace(unsure, spread_found=0.002, spread_threshold=0.02), RULES, 1)
    assert other is not None
    assert other.defects == 0
    assert other.good > 6000
    both = label_more(replace(unsure, spread_found=0.02, spread_threshold=0.02), RULES, 1)
    assert both is not None
    assert both.defects > 0 < both.good
    assert label_more(replace(unsure, change=change(-1e-9)), RULES, 1) is None
    few = label_more(replace(GOOD, n_defects=5, change=change(0.1)), RULES, 1)
    assert few == Needed(15, 0)


def test_as_many_labels_as_asked_for_settle_it() -> None:
    """Spreads shrink with the root of the number of parts: with what was asked for, the next look's bound is passed."""
    unsure = replace(GOOD, change=change(0.01, 0.04), spread_found=0.02, spread_threshold=0.002)
    more = label_more(unsure, RULES, 1)
    assert more is not None
    spread = (0.02**2 * 300 / (300 + more.defects) + 0.002**2) ** 0.5
    assert 0.01 - 2.24 * spread > -RULES.margin


def test_a_first_model_has_absolute_requirements() -> None:
    assert judge_first(Bounds(0.8, 0.7, 0.9), 100, REJECTS, RULES).outcome == "promote"
    held = judge_first(Bounds(0.55, 0.45, 0.65), 100, REJECTS, RULES)
    assert held.outcome == "hold"
    assert held.more is not None
    assert held.more.defects > 100
    assert judge_first(Bounds(0.3, 0.2, 0.4), 100, REJECTS, RULES).outcome == "reject"
    assert judge_first(Bounds(0.8, 0.7, 0.9), 19, REJECTS, RULES).outcome == "hold"
    assert judge_first(Bounds(0.8, 0.7, 0.9), 100, Interval(0.06, 0.05, 0.08), RULES).outcome == "reject"
