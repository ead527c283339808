"""The expert's queue by hand: each reason, their order, and what chance adds."""

from __future__ import annotations

from activesel.adjudication import Case, QueueRules, Reason, find_reasons, is_audited, rank_cases

RULES = QueueRules(good="good", posterior=0.9, model=0.95, audit=0.0, seed=0)


def case(number: int, *names: str, **more: object) -> Case:
    verdicts = tuple((f"rater {i}", name) for i, name in enumerate(names))
    usual = {"consensus": names[0] if names else None, "posterior": 0.99 if names else None}
    return Case(f"{number:032x}", "", verdicts, **usual | more)  # type: ignore[arg-type]


def test_every_reason() -> None:
    cases = {
        Reason.disagree: case(1, "good", "crack"),
        Reason.shapes: case(2, "crack", "crack", unmatched=True),
        Reason.skipped: case(3, "crack", skips=(("bob", "too dark"),)),
        Reason.unsure: case(4, "crack", posterior=0.6),
        Reason.model: case(5, "good", model="crack", model_probability=0.97),
        Reason.gold: case(6, "good", truth="crack"),
    }
    for reason, one in cases.items():
        assert list(find_reasons(one, RULES)) == [reason]
    queue = rank_cases(reversed(cases.values()), RULES)
    assert [item.code for item in queue] == list(cases), "in the order of the reasons"
    assert [item.rank for item in queue] == [1, 2, 3, 4, 5, 6]
    assert queue[2].reasons == ("bob could not tell: too dark",)


def test_no_reason_no_place() -> None:
    plain = [case(1, "crack", "crack"), case(2, "good", model="crack", model_probability=0.9),
             case(3, "crack", "crack", model="crack", model_probability=0.99), case(4, "crack", truth="crack"),
             case(5, model="crack", model_probability=0.99)]  # fmt: skip
    assert rank_cases(plain, RULES) == []


def test_all_reasons_are_told() -> None:
    (item,) = rank_cases([case(1, "good", "crack", posterior=0.5, skips=(("eve", "blurred"),))], RULES)
    assert item.code is Reason.disagree
    assert len(item.reasons) == 3


def test_a_defect_or_none_comes_before_which_defect_and_the_unsure_first() -> None:
    queue = rank_cases([case(1, "pit", "crack", posterior=0.5), case(2, "good", "pit", posterior=0.8),
                        case(3, "good", "pit", posterior=0.6)], RULES)  # fmt: skip
    assert [int(item.image_id, 16) for item in queue] == [3, 2, 1]


def test_both_directions_of_the_model_in_turn() -> None:
    passed = [case(i, "good", model="crack", model_probability=0.99) for i in range(4)]
    rejected = [case(10 + i, "crack", model="good", model_probability=0.99) for i in range(2)]
    queue = rank_cases([*passed, *rejected], RULES)
    assert [item.model for item in queue] == ["crack", "good", "crack", "good", "crack", "crack"]


def test_the_audit_is_a_share_and_the_same_every_time() -> None:
    rules = QueueRules("good", 0.9, 0.95, 0.02, 3)
    agreed = [case(i, "crack", "crack") for i in range(5000)]
    queue = rank_cases(agreed, rules)
    assert 60 < len(queue) < 140
    assert {item.code for item in queue} == {Reason.audit}
    assert {item.image_id for item in queue} == {one.image_id for one in agreed if is_audited(one.image_id, rules)}
    assert rank_cases([case(i, "crack") for i in range(5000)], rules) == [], "one opinion is no agreement"
