"""What counts of several opinions, case by case, and that order and repetition do not matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.annotations import Annotation, Box, LabelState, Resolution, Role
from activesel.settling import name_wholes, newest_by_person, settle


def say(annotator: str, name: str | None, role: Role = Role.annotator, **more: str) -> Annotation:
    return Annotation("i", annotator, role, name, **more)  # type: ignore[arg-type]


RAW, AGREED = LabelState.raw, LabelState.agreed


@pytest.mark.parametrize(
    ("opinions", "name", "state", "by"),
    [
        ([say("ann", "crack")], "crack", RAW, "ann"),
        ([say("ann", "crack"), say("bob", "crack")], "crack", AGREED, "consensus"),
        ([say("ann", "crack"), say("eve", "crack", Role.expert)], "crack", AGREED, "consensus"),
        ([say("ann", "crack"), say("bob", "good")], None, RAW, ""),
        ([say("ann", "crack"), say("bob", "crack"), say("cid", "good")], None, RAW, ""),
        ([say("ann", "crack"), say("ann", "crack")], "crack", RAW, "ann"),
        ([say("ann", "crack"), say("ann", "good")], "good", RAW, "ann"),
        ([say("ann", "good", created="2026-02-01"), say("ann", "crack", created="2026-01-01")], "good", RAW, "ann"),
        ([say("ann", None, skipped="dark")], None, RAW, ""),
        ([say("ann", None, skipped="dark"), say("bob", "crack")], "crack", RAW, "bob"),
        ([say("ann", "crack"), say("ann", None, skipped="dark")], None, RAW, ""),
        ([say("ann", "crack"), say("net", "good", Role.model)], "crack", RAW, "ann"),
        ([say("ann", "crack"), say("key", "crack", Role.gold)], "crack", RAW, "ann"),
        ([say("net", "crack", Role.model), say("r", "crack", Role.rule)], None, RAW, ""),
        ([say("ann", None), say("bob", None)], None, RAW, ""),
        ([say("ann", None), say("bob", "crack")], None, RAW, ""),
    ],
)
def test_cases(opinions: list[Annotation], name: str | None, state: LabelState, by: str) -> None:
    assert settle(opinions) == Resolution("i", name, state, by=by)


@pytest.mark.parametrize("state", [LabelState.adjudicated, LabelState.rejected, LabelState.synthetic])
def test_a_decision_stays(state: LabelState) -> None:
    present = Resolution("i", "pit", state, 0.9, "eve")
    assert settle([say("ann", "crack"), say("bob", "crack")], present) is present


def blind(annotator: str, name: str) -> Annotation:
    return say(annotator, name, Role.expert, source="review", external_id=f"blind:{annotator}:i:1")


def test_a_blind_verdict_is_no_vote_before_it_is_final() -> None:
    assert settle([say("ann", "crack"), blind("eve", "good")]) == Resolution("i", "crack", RAW, by="ann")
    assert settle([say("ann", "crack"), blind("eve", "crack")]).state is RAW, "nor does it make two of one"
    assert settle([blind("eve", "crack")]).name is None
    present = Resolution("i", "pit", LabelState.weak, 0.9, "model")
    assert settle([blind("eve", "crack")], present) is present


@pytest.mark.parametrize("source", ["review", "adjudication"])
def test_the_last_verdict_counts_whatever_people_say(source: str) -> None:
    verdicts = [say(who, name, Role.expert, source=source) for who, name in (("eve", "pit"), ("lee", "good"))]
    said = [say("ann", "crack"), blind("lee", "pit"), *verdicts, say("bob", "crack")]
    assert settle(said) == Resolution("i", "good", LabelState.adjudicated, by="lee")
    assert settle(said, Resolution("i", "pit", LabelState.adjudicated, by="eve")).by == "lee"
    rejected = say("lee", None, Role.expert, source=source, skipped="wrong part")
    assert settle([*said, rejected]).state is LabelState.rejected
    made = Resolution("i", "pit", LabelState.synthetic)
    assert settle(said, made) is made


def test_people_replace_a_weak_label_and_models_do_not() -> None:
    present = Resolution("i", "pit", LabelState.weak, 0.9, "model")
    assert settle([say("net", "crack", Role.model)], present) is present
    assert settle([say("ann", "crack")], present).name == "crack"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y"])), min_size=1), st.randoms())
def test_order_does_not_matter_where_each_spoke_once(said: list[tuple[str, str]], random: object) -> None:
    opinions = [say(who, what) for who, what in dict(said).items()]
    shuffled = opinions.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = settle(opinions), settle(shuffled)
    assert (one.name, one.state, one.by) == (other.name, other.state, other.by)
    assert (one.name is not None) == (len(set(dict(said).values())) == 1)


def test_wholes_are_named_by_their_rarest_shape() -> None:
    def drawn(image_id: str, *names: str) -> Annotation:
        return Annotation(image_id, "ann", shapes=tuple(Box(name, 0, 0, 1, 1) for name in names))

    given_ = [drawn("a", "crack", "crack"), drawn("b", "crack", "fray"), drawn("c"), say("d", "good"),
              say("e", None, skipped="dark")]  # fmt: skip
    assert [one.name for one in name_wholes(given_)] == ["crack", "fray", None, "good", None]
    assert [one.name for one in name_wholes(given_, "ok")] == ["crack", "fray", "ok", "good", None]
    assert given_[0].name is None, "what was given stays"


def test_newest_by_person() -> None:
    given_ = [say("ann", "x", created="2026-01-02"), say("ann", "y"), say("bob", "z"), say("net", "z", Role.model)]
    assert sorted(one.name or "" for one in newest_by_person(given_)) == ["x", "z"]
