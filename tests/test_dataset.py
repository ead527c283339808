"""What may be on which side: every rule by hand, and over random pools by hypothesis."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.annotations import LabelState
from activesel.dataset import (
    FROM_EVALUATION,
    NEAR_EVALUATION,
    WEAK_IN_TEST,
    Example,
    Origin,
    Placed,
    Shares,
    compare,
    from_lines,
    place,
    to_lines,
    version_of,
)

SHARES = Shares(0.15, 0.15)


def real(i: int, label: str = "good", **more: object) -> Example:
    one = Example(f"{i:032x}", f"/photos/{i}.png", label, LabelState.raw, Origin.second_party)
    return replace(one, **more)  # type: ignore[arg-type]


def weak(i: int, label: str = "good") -> Example:
    return real(i, label, state=LabelState.weak, origin=Origin.weak, weight=0.8)


def made(i: int, *made_from: int) -> Example:
    return real(i, "crack", state=LabelState.synthetic, origin=Origin.synthetic,
                made_from=tuple(f"{source:032x}" for source in made_from))  # fmt: skip


def put(examples: list[Example], groups: dict[int, int], earlier: dict[int, str] | None = None) -> Placed:
    names = {f"{i:032x}": f"{group:032x}" for i, group in groups.items()}
    return place(examples, names, SHARES, 0, {f"{i:032x}": side for i, side in (earlier or {}).items()})


def sides(placed: Placed) -> dict[int, str]:
    return {int(one.example.image_id, 16): one.split for one in placed.entries}


def why(placed: Placed) -> dict[int, str]:
    return {int(image_id, 16): reason for image_id, reason in placed.left_out.items()}


def alone(*numbers: int) -> dict[int, int]:
    return {i: i for i in numbers}


def test_evaluation_images_test_and_their_neighbours_are_left_out() -> None:
    placed = put([real(1, evaluation=True), real(2), *map(real, range(3, 23))], {1: 1, 2: 1, **alone(*range(3, 23))})
    assert sides(placed)[1] == "test"
    assert why(placed) == {2: NEAR_EVALUATION}
    assert [i for i, side in sides(placed).items() if side == "test"] == [1], "then nothing else is drawn to test"


def test_an_unlabelled_evaluation_image_keeps_its_neighbours_out() -> None:
    placed = put(
        [real(1, "", evaluation=True), real(2), *map(real, range(3, 23))], {1: 1, 2: 1, **alone(*range(3, 23))}
    )
    assert 1 not in sides(placed)
    assert why(placed) == {2: NEAR_EVALUATION}
    assert "test" in sides(placed).values(), "while none of them has a label others test"


def test_variants_and_what_they_are_made_from_train() -> None:
    placed = put([*map(real, range(1, 41)), made(90, 5, 6)], {**alone(*range(1, 41)), 6: 5, 7: 6},
                 {5: "test", 7: "validation"})  # fmt: skip
    assert sides(placed)[90] == "train"
    assert sides(placed)[5] == sides(placed)[6] == "train", "whatever they did before"
    assert placed.n_moved == 1
    assert sides(placed)[7] == "validation"


def test_a_variant_of_an_evaluation_image_is_left_out() -> None:
    placed = put([real(1, evaluation=True), real(2), made(90, 3, 1), made(91, 2)], {1: 1, 2: 2, 3: 3})
    assert why(placed) == {90: FROM_EVALUATION}
    assert sides(placed)[91] == "train"


def test_weak_labels_train_or_are_left_out() -> None:
    placed = put([real(1, evaluation=True), weak(2), real(3), weak(4), weak(5)], {1: 1, 2: 1, 3: 3, 4: 3, 5: 5},
                 {3: "test"})  # fmt: skip
    assert why(placed) == {2: WEAK_IN_TEST, 4: WEAK_IN_TEST}
    assert sides(placed) == {1: "test", 3: "test", 5: "train"}


def test_a_weak_label_on_an_evaluation_image_never_counts() -> None:
    placed = put([replace(weak(1), evaluation=True), real(2)], alone(1, 2))
    assert why(placed) == {1: WEAK_IN_TEST}


def test_lines_come_back_and_the_version_follows_from_them() -> None:
    odd = real(3, 'a\u2028b\n"', mask="/m\udcff.png", confidence=0.5)
    placed = put([real(1), odd, made(90, 1)], alone(1, 3))
    assert from_lines(to_lines(placed.entries)) == placed.entries
    assert version_of({"a": 1, "b": 2}) == version_of({"b": 2, "a": 1}) != version_of({"a": 1, "b": 3})
    with pytest.raises(ValueError, match="no side"):
        from_lines(to_lines([replace(placed.entries[0], split="tset")]))


def test_compare_tells_what_leaked() -> None:
    before = put([real(1), real(2), real(3)], alone(1, 2, 3)).entries
    changed = [replace(one, split="test") if one.split == "train" else one for one in before[1:]]
    found = compare(before, [*changed, *put([real(4)], alone(4)).entries])
    assert found.removed == (before[0].example.image_id,)
    assert found.added == (f"{4:032x}",)
    assert found.leaked == tuple(one.example.image_id for one in before[1:] if one.split == "train")


pools = st.lists(
    st.tuples(
        st.sampled_from(["real", "weak", "made", "evaluation", "held"]), st.integers(0, 8), st.sampled_from("ab"),
        st.integers(0, 30),
    ),
    max_size=30,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(pools, pools)
def test_nothing_leaks(first: list[tuple[str, int, str, int]], second: list[tuple[str, int, str, int]]) -> None:
    """Two versions of a growing pool, whatever is in it: no group on two sides, nothing made or weak tests, nothing
    that trained tests later."""
    earlier: dict[int, str] = {}
    versions = []
    for rows in (first, [*first, *second]):
        examples, groups = [], {}
        for i, (kind, group, label, source) in enumerate(rows):
            if kind == "made":
                examples.append(made(i, source))
                continue
            groups[i] = group + 100
            shown = real(i, "" if kind == "held" else label, evaluation=kind in ("evaluation", "held"))
            examples.append(weak(i, label) if kind == "weak" else shown)
        placed = put(examples, groups, earlier)
        side_of = sides(placed)
        by_group: dict[int, set[str]] = {}
        for i, side in side_of.items():
            by_group.setdefault(groups.get(i, -1 - i), set()).add(side)
        assert all(len(some) == 1 for some in by_group.values())
        held = {groups[i] for i, row in enumerate(rows) if row[0] in ("evaluation", "held")}
        for i, side in side_of.items():
            kind, source = rows[i][0], rows[i][3]
            assert kind not in ("weak", "made") or side == "train"
            assert kind != "evaluation" or side == "test"
            if kind == "made" and source in groups:
                assert groups[source] not in held
                assert by_group.get(groups[source], {"train"}) == {"train"}
        versions.append(placed.entries)
        earlier = {**side_of}
    newly_held = {one.example.image_id for one in versions[1] if one.example.evaluation}
    assert not set(compare(*versions).leaked) - newly_held
