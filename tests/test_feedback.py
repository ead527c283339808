"""Rules over stories of events, by hand; what is trusted, and what their words become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from activesel.feedback import (
    RULES,
    UNNAMED,
    Findings,
    Reading,
    RuleReport,
    Setting,
    Story,
    Trust,
    Votes,
    differs,
    find,
    report,
    vote,
)
from activesel.labelmodel import fit_label_model
from activesel.records import Event

CLASSES = ("crack", "good", "pit")
READING = Reading("good", 2.0, {"ok": "good", "nok": UNNAMED})
NAMES = tuple(RULES)
USES = {"override_considered": ("weak", "adjudicate", "positives"), "confirm_considered": ("weak",),
        "rework_fault": ("adjudicate", "positives"), "rework_clear": ("weak", "adjudicate"),
        "downstream_return": ("adjudicate", "positives")}  # fmt: skip


def event(kind: str, day: int = 1, **data: Any) -> Event:
    time = f"2026-03-{day:02d}T00:00:00.000000+00:00"
    return Event("/l3", f"{kind}{day}", kind, "a", "", time, time, data)


def override(verdict: str, seconds: float | None = 3.0, day: int = 1) -> Event:
    spent = {} if seconds is None else {"time_to_decide_s": seconds}
    return event("operator.override", day, operator_verdict=verdict, **spent)


def rework(fault: bool, day: int = 2, **data: Any) -> Event:
    return event("rework.result", day, result="fault_found" if fault else "no_fault_found", **data)


def story(*events: Event, image_id: str = "a") -> Story:
    return Story(image_id, events)


def words(*events: Event) -> dict[str, str]:
    said = vote([story(*events)], READING, CLASSES).said[0]
    return {name: word for name, word in zip(NAMES, said, strict=True) if word is not None}


@pytest.mark.parametrize(
    ("events", "expected"),
    [((override("crack"),), {"override_considered": "crack"}), ((override("crack", 1.9),), {"override_quick": "crack"}),
     ((override("crack", 2.0),), {"override_considered": "crack"}),
     ((override("crack", None),), {"override_quick": "crack"}), ((override("ok"),), {"override_considered": "good"}),
     ((override("crack"), override("pit", 3, day=2)), {"override_considered": "pit"}),
     ((override("crack"), override("pit", 1, day=2)), {"override_quick": "pit"}),
     ((event("operator.confirm", verdict="crack", time_to_decide_s=5),), {"confirm_considered": "crack"}),
     ((event("operator.confirm", verdict="crack"),), {"confirm_quick": "crack"}),
     ((rework(False),), {"rework_clear": "good"}), ((rework(True),), {"rework_fault": UNNAMED}),
     ((rework(True, verdict="pit"),), {"rework_fault": "pit"}),
     ((rework(True, verdict="pit"), rework(False, day=3)), {"rework_clear": "good"}),
     ((event("downstream.return"),), {"downstream_return": UNNAMED}),
     ((event("downstream.return", verdict="nok"),), {"downstream_return": UNNAMED}),
     ((event("image.captured"),), {}), ((), {})],
)  # fmt: skip
def test_what_each_rule_says(events: tuple[Event, ...], expected: dict[str, str]) -> None:
    assert words(*events) == expected


def test_a_verdict_that_is_no_class_says_nothing_and_is_counted() -> None:
    votes = vote([story(override("kaputt")), story(override("kaputt", 1))], READING, CLASSES)
    assert votes.strangers == {"kaputt": 2}
    assert (votes.codes == -1).all()


def test_a_defect_without_a_name_has_one_where_there_is_only_one() -> None:
    several = vote([story(rework(True))], READING, CLASSES)
    assert (several.codes == -1).all()
    one = vote([story(rework(True))], READING, ("crack", "good"))
    assert one.codes[0, NAMES.index("rework_fault")] == 0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("crack", "pit", True), ("crack", "crack", False), ("good", "crack", True), (UNNAMED, "crack", False),
     (UNNAMED, "good", True), (None, "good", False)],
)  # fmt: skip
def test_which_words_contradict(one: str | None, other: str | None, expected: bool) -> None:
    assert differs(one, other, "good") is differs(other, one, "good") is expected


Judged = tuple[Votes, tuple[RuleReport, ...], Findings]


def judge(stories: list[Story], labels: list[str], least_known: int = 20) -> Judged:
    votes = vote(stories, READING, CLASSES)
    known = np.array([CLASSES.index(one) if one else -1 for one in labels])
    balance = np.bincount(known[known >= 0], minlength=3) + 1.0
    posterior = fit_label_model(votes.codes, 3, balance, known=known).posterior
    reports = report(votes.codes, known, posterior, Trust(0.8, least_known, USES))
    return votes, reports, find(stories, votes, reports, known, posterior, Setting(CLASSES, "good", 0.85))


def of(reports: tuple[RuleReport, ...], name: str) -> RuleReport:
    return reports[NAMES.index(name)]


def test_a_rule_is_trusted_by_what_was_measured() -> None:
    stories = [story(override("crack"))] * 40 + [story(override("crack", 1))] * 40
    _, reports, found = judge(stories, ["crack"] * 30 + [""] * 10 + ["crack"] * 20 + ["good"] * 20)
    good, quick = of(reports, "override_considered"), of(reports, "override_quick")
    assert (good.summary.n_right, good.summary.n_known, good.trusted) == (30, 30, True)
    assert good.measured is not None
    assert good.measured.low == pytest.approx(0.886, abs=0.001)
    assert quick.measured is not None
    assert quick.measured.value == 0.5
    assert not quick.trusted
    assert [row for row, code, chance in found.weak] == list(range(30, 40))
    assert {CLASSES[code] for _, code, _ in found.weak} == {"crack"}
    assert found.n_unsure == 0


def test_a_rule_that_is_often_wrong_labels_nothing() -> None:
    stories = [story(override("crack"))] * 40
    _, reports, found = judge(stories, ["crack"] * 18 + ["good"] * 12 + [""] * 10)
    assert not of(reports, "override_considered").trusted
    assert found.weak == ()
    assert found.n_unsure == 10
    assert [row for row, _, _ in found.look] == list(range(30, 40)), "they are to be looked at instead"


def test_a_rule_that_may_not_label_does_not_however_good() -> None:
    stories = [story(override("crack", 1))] * 40
    _, reports, found = judge(stories, ["crack"] * 30 + [""] * 10)
    assert not of(reports, "override_quick").trusted
    assert found.weak == ()


def test_without_labels_to_measure_on_the_label_model_speaks() -> None:
    stories = [story(override("crack"), rework(True, verdict="crack"))] * 30 + [story()] * 30
    _, reports, _ = judge(stories, ["crack"] * 3 + [""] * 57)
    rule = of(reports, "override_considered")
    assert rule.estimate is not None
    assert rule.estimate > 0.8
    assert rule.why.startswith("estimated")
    assert of(reports, "rework_clear").why == "says no class of any image"


def test_contradictions_go_to_an_expert_or_to_the_next_batch() -> None:
    labelled = story(event("downstream.return", 5, verdict="crack"))
    unnamed = story(rework(True))
    split = story(override("good"), rework(True, verdict="pit"))
    agreeing = story(override("crack"))
    _, _, found = judge([labelled, unnamed, split, agreeing], ["good", "pit", "", "crack"])
    assert [row for row, _ in found.doubted] == [0], "a defect without a name does not contradict another defect"
    assert found.doubted[0][1] == "downstream return (2026-03-05) says crack"
    assert [(row, name) for row, name, _ in found.look] == [(2, "pit")]
    assert "contradicts itself" in found.look[0][2]
    assert found.examples == {"pit": (2,), "crack": (3,)}


def test_examples_are_what_rules_and_people_call_a_defect() -> None:
    stories = [story(rework(True, verdict="pit")), story(rework(True, verdict="pit")), story(override("ok"))]
    _, _, found = judge(stories, ["", "crack", ""])
    assert found.examples == {"pit": (0,)}, "not one that people call otherwise, and nothing good"
