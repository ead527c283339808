"""Each rule of the gate can promote, hold or reject, says why, and how many labels would tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from activesel.gate import Needed, Outcome, Rule, Rules, Wish, judge, judge_first, spend
from activesel.power import Spread, labels_for_change
from activesel.rivals import Bounds, ClassChange, Comparison, Rejects, Votes, mcnemar

RULES = Rules(0.02, 0.04, 0.02, 0.05, 0.05, False, ("crack",), 20, 20, 0.5)
REJECTS = Rejects(0.02, 0.016, 0.026, 3000)


def votes(fixed: int, broken: int, n: int = 300) -> Votes:
    return Votes(fixed, broken, n, *mcnemar(fixed, broken))


def change(value: float, half: float = 0.02) -> Bounds:
    return Bounds(value, value - half, value + half)


def crack(value: float = 0.0, half: float = 0.04, fixed: int = 3, broken: int = 3, n: int = 100) -> ClassChange:
    return ClassChange("crack", n, change(value, half), votes(fixed, broken, n), half / 1.96, 0.001)


GOOD = Comparison((0.85, 0.88), change(0.03), votes(15, 6), (crack(),), 0.008, 0.006, 300, 6000)


def outcome(found: Comparison, rejects: Rejects | None = REJECTS, rules: Rules = RULES, look: int = 1) -> Outcome:
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
    [(Rejects(0.02, 0.015, 0.041, 300), "hold"), (Rejects(0.06, 0.041, 0.08, 300), "reject"), (None, "promote")],
)
def test_false_rejects_have_a_budget(rejects: Rejects | None, expected: str) -> None:
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


def wishes(found: Comparison, rejects: Rejects | None = REJECTS, rules: Rules = RULES) -> tuple[Wish, ...]:
    verdict = judge(found, rejects, rules, 1)
    assert verdict.more is not None, verdict
    return verdict.more.wishes


UNSURE = replace(GOOD, change=change(0.01, 0.04), spread_found=0.02, spread_threshold=0.002)
TIGHT = Rejects(0.03, 0.02, 0.045, 800)  # may be above the budget of 0.04


def test_more_labels_are_asked_of_the_side_that_is_unsure() -> None:
    assert wishes(UNSURE) == (Wish(Rule.recall, 1024, 0),)
    (other,) = wishes(replace(UNSURE, spread_found=0.002, spread_threshold=0.02))
    assert other.defects == 0
    assert other.good > 6000
    (both,) = wishes(replace(UNSURE, spread_found=0.02, spread_threshold=0.02))
    assert both.defects > 0 < both.good
    assert wishes(replace(UNSURE, change=change(-1e-9))) == (Wish(Rule.recall),), "too near"
    assert wishes(replace(GOOD, n_defects=5, change=change(0.1))) == (Wish(Rule.recall, 15),)


def test_false_rejects_that_hold_ask_for_good_parts_alone() -> None:
    (asked,) = wishes(GOOD, TIGHT)
    assert asked == Wish(Rule.false_rejects, 0, 3397 - 800)  # ((2.2414 * 0.19596 + 0.8416 * 0.17059) / 0.01)^2
    assert wishes(GOOD, replace(TIGHT, value=0.04)) == (Wish(Rule.false_rejects),), "on the budget no number tells"
    (above,) = wishes(GOOD, Rejects(0.06, 0.039, 0.09, 300))
    assert 0 < above.good < asked.good, "twice as far away"


def test_a_critical_class_that_holds_asks_for_its_own_parts() -> None:
    verdict = judge(replace(GOOD, classes=(crack(half=0.06), replace(crack(), name="pit"))), REJECTS, RULES, 1)
    assert verdict.more is not None
    (asked,) = verdict.more.wishes
    assert (asked.rule, asked.name, asked.good) == (Rule.critical, "crack", 0)
    assert verdict.more.classes == {"crack": asked.defects}
    assert verdict.more.defects == asked.defects > 100
    assert wishes(replace(GOOD, classes=(crack(n=12),))) == (Wish(Rule.critical, 8, name="crack"),)
    assert wishes(replace(GOOD, classes=())) == (Wish(Rule.critical, 20, name="crack"),)
    of_good = replace(crack(half=0.06), spread_found=0.002, spread_threshold=0.03)
    (good,) = wishes(replace(GOOD, classes=(of_good,)))
    assert (good.defects, good.name) == (0, "crack")
    assert good.good > 0, "what is unsure is where the threshold lies"


def test_each_rule_that_holds_has_its_wish() -> None:
    found = replace(UNSURE, classes=(crack(half=0.06),), n_defects=15)
    asked = wishes(found, TIGHT)
    assert [one.rule for one in asked] == [Rule.recall, Rule.critical, Rule.false_rejects]
    assert asked[0].defects > 5, "the rule's own number, not the few that are lacking"
    more = Needed(asked)
    assert (more.defects, more.good) == (max(asked[0].defects, asked[1].defects), asked[2].good)
    assert judge(GOOD, REJECTS, RULES, 1).more is None


def test_where_it_must_gain_mcnemar_has_a_say() -> None:
    strict = replace(RULES, must_gain=True)
    (asked,) = wishes(replace(GOOD, votes=votes(15, 6)), rules=strict)
    assert asked.defects > 0, "the bound is above 0 already; McNemar is not sure"
    assert wishes(replace(GOOD, votes=votes(6, 6)), rules=strict) == (Wish(Rule.recall),)


def test_as_many_labels_as_asked_for_settle_it() -> None:
    """Spreads shrink with the root of the number of parts: with what was asked for, the next look's bound is passed."""
    (more,) = wishes(UNSURE)
    spread = (0.02**2 * 300 / (300 + more.defects) + 0.002**2) ** 0.5
    assert 0.01 - 2.24 * spread > -RULES.margin
    assert labels_for_change(0.03, Spread(0.001, 300), Spread(0.001, 300), 0.025) == (0, 0)


def test_a_first_model_has_absolute_requirements() -> None:
    assert judge_first(Bounds(0.8, 0.7, 0.9), 100, REJECTS, RULES).outcome == "promote"
    held = judge_first(Bounds(0.55, 0.45, 0.65), 100, REJECTS, RULES)
    assert held.outcome == "hold"
    assert held.more is not None
    assert held.more.defects > 100
    assert judge_first(Bounds(0.3, 0.2, 0.4), 100, REJECTS, RULES).outcome == "reject"
    assert judge_first(Bounds(0.8, 0.7, 0.9), 19, REJECTS, RULES).outcome == "hold"
    assert judge_first(Bounds(0.8, 0.7, 0.9), 100, Rejects(0.06, 0.05, 0.08, 300), RULES).outcome == "reject"


def test_a_first_model_is_told_what_holds_it() -> None:
    sure = Bounds(0.8, 0.7, 0.9)
    held = judge_first(sure, 100, TIGHT, RULES)
    assert held.outcome == "hold"
    assert held.more is not None
    assert [one.rule for one in held.more.wishes] == [Rule.false_rejects]
    both = judge_first(Bounds(0.55, 0.45, 0.65), 100, TIGHT, RULES)
    assert both.more is not None
    assert [one.rule for one in both.more.wishes] == [Rule.recall, Rule.false_rejects]
    later = judge_first(Bounds(0.55, 0.45, 0.65), 100, REJECTS, RULES, look=4)
    assert later.more is not None
    assert later.more.defects < both.more.defects, "bounds of a later look are wider of the same spread"
