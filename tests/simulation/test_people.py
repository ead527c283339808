"""Simulated people: as often wrong as their profile says, the same every time, and never all of one mind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from activesel.annotations import Role
from activesel.errors import ConfigError
from activesel.simulation.people import DEFAULT, Crowd, PersonProfile, Profile, read_profile

CLASSES = ("free", "crack", "pit")
TRUTH = {f"{i:032x}": CLASSES[i % 3] for i in range(3000)}


def crowd(*people: PersonProfile, hard: float = 0.0, seed: int = 0) -> Crowd:
    return Crowd(Profile(hard=hard, hard_factor=8, people=people), CLASSES, TRUTH, seed)


def share_right(one: Crowd, person: PersonProfile) -> float:
    return float(np.mean([one.say(person, i).name == TRUTH[i] for i in TRUTH]))


def test_a_person_is_as_accurate_as_their_profile_says() -> None:
    anna = PersonProfile(name="anna", accuracy=0.9)
    assert share_right(crowd(anna), anna) == pytest.approx(0.9, abs=0.02)


def test_mistakes_are_made_of_the_class_and_into_the_class_named() -> None:
    anna = PersonProfile(name="anna", accuracy=1.0, mistakes={"crack": {"free": 0.4}})
    said = Counter((TRUTH[i], crowd(anna).say(anna, i).name) for i in TRUTH)
    assert said["crack", "free"] / 1000 == pytest.approx(0.4, abs=0.05)
    assert said["crack", "pit"] == 0
    assert said["free", "free"] == said["pit", "pit"] == 1000


def test_the_same_person_says_the_same_of_the_same_image() -> None:
    anna = PersonProfile(name="anna", accuracy=0.5)
    ids = list(TRUTH)[:50]
    assert [crowd(anna).say(anna, i) for i in ids] == [crowd(anna).say(anna, i) for i in reversed(ids)][::-1]
    assert [crowd(anna).say(anna, i) for i in ids] != [crowd(anna, seed=1).say(anna, i) for i in ids]


def test_hard_images_are_hard_for_everybody() -> None:
    anna, ben = PersonProfile(name="anna", accuracy=0.95), PersonProfile(name="ben", accuracy=0.95)
    one = crowd(anna, ben, hard=0.1)
    wrong = np.array([[one.say(who, i).name != TRUTH[i] for i in TRUTH] for who in (anna, ben)])
    both = (wrong[0] & wrong[1]).mean()
    assert both > 2 * wrong[0].mean() * wrong[1].mean(), "independent people would err together less often"


def test_skips_seconds_and_roles() -> None:
    eve = PersonProfile(name="eve", role="expert", skip=0.3, seconds=20, spread=0.5)
    said = [crowd(eve).say(eve, i) for i in TRUTH]
    assert np.mean([bool(one.skipped) for one in said]) == pytest.approx(0.3, abs=0.03)
    assert np.median([one.lead_time_s or 0 for one in said]) == pytest.approx(20, rel=0.1)
    assert {one.role for one in said} == {Role.expert}


def test_people_are_asked_evenly_and_each_once() -> None:
    one = Crowd(DEFAULT, CLASSES, TRUTH, 0)
    first = Counter(one.pick(i, 1, expert=False)[0].name for i in TRUTH)
    assert min(first["anna"], first["ben"]) > 1300
    assert all(len({who.name for who in one.pick(i, 2, expert=False)}) == 2 for i in list(TRUTH)[:20])
    assert [who.name for who in one.pick("0" * 32, 5, expert=True)] == ["eve"]


def test_without_an_expert_the_most_accurate_decides() -> None:
    one = crowd(PersonProfile(name="anna", accuracy=0.8), PersonProfile(name="ben", accuracy=0.9))
    assert [who.name for who in one.experts] == ["ben"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("people: []", "bad value for people"),
        ("people: [{name: a, accuracy: 1.5}]", r"bad value for people\.0\.accuracy"),
        ("people: [{name: a}, {name: a}]", "two people of one name"),
        ("people: [{name: a, role: expert}]", "nobody labels"),
        ("people: [{name: a, acuracy: 1}]", r"people\.0\.acuracy"),
        ("people: [", "cannot be read"),
    ],
)
def test_a_wrong_profile_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        read_profile(path)


def test_a_profile_is_read(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text("hard: 0.1\npeople:\n- {name: anna, accuracy: 0.8, mistakes: {crack: {free: 0.2}}}\n")
    assert read_profile(path).people[0].mistakes == {"crack": {"free": 0.2}}
    assert read_profile(None) is DEFAULT
