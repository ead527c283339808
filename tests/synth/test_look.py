"""Drawn numbers: JSON, repeatable, near the real direction and contrast."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synth.look import STRENGTH, draw_look
from synth.records import BLEND_MODES
from synth.seeds import proposal_rng
from tests.synth.made import blob, donor_of, plan_of, stained, streak, surface

SHAPE = (140, 180)
MASKS = {
    "pit": blob(SHAPE, (60, 80), (10, 10)),
    "crack": streak(SHAPE, (20, 60), (110, 80)),
    "oblique": streak(SHAPE, (30, 40), (100, 110)),
    "corner": blob(SHAPE, (0, 0), (30, 30)),
}


def draws(name: str, n: int = 200) -> list[dict]:
    donor = donor_of(stained(surface(SHAPE), MASKS[name], -60), MASKS[name])
    return [draw_look(proposal_rng(1, number), donor, mode="gradient") for number in range(n)]


@pytest.mark.parametrize("name", MASKS)
def test_looks_are_json_and_make_plans(name: str) -> None:
    donor = donor_of(stained(surface(SHAPE), MASKS[name], -60), MASKS[name])
    look = draw_look(proposal_rng(1, 0), donor, mode=BLEND_MODES[0])
    assert json.loads(json.dumps(look)) == look == draw_look(proposal_rng(1, 0), donor, mode=BLEND_MODES[0])
    assert plan_of(donor, **look).scale == look["scale"]


def test_contrast_stays_real() -> None:
    strengths = [look["strength"] for look in draws("pit")]
    assert min(strengths) >= STRENGTH[1]
    assert max(strengths) <= STRENGTH[2]
    assert np.mean(strengths) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("name", ["crack", "oblique"])
def test_a_defect_with_a_direction_keeps_it(name: str) -> None:
    donor = donor_of(stained(surface(SHAPE), MASKS[name], -60), MASKS[name])
    for look in draws(name):
        axis = (-donor.angle_rad if look["mirrored"] else donor.angle_rad) + look["angle_rad"]
        assert abs((axis - donor.angle_rad + np.pi / 2) % np.pi - np.pi / 2) < 0.45
    assert all("bend" in look["numbers"] for look in draws(name, 3))


def test_branches_only_where_asked_for() -> None:
    donor = donor_of(stained(surface(SHAPE), MASKS["crack"], -60), MASKS["crack"])
    looks = [draw_look(proposal_rng(1, n), donor, mode="gradient", branching=0.5) for n in range(60)]
    assert 20 < sum("branch" in look["numbers"] for look in looks) < 40
    assert not any("branch" in look["numbers"] for look in draws("crack", 60))


def test_a_round_defect_turns_freely_and_one_at_the_edge_never() -> None:
    assert np.std([look["angle_rad"] for look in draws("pit")]) > 1
    assert {look["angle_rad"] for look in draws("corner")} == {0.0}


def test_a_large_defect_is_neither_mirrored_nor_much_bent() -> None:
    shape = (200, 260)
    mask = blob(shape, (100, 130), (80, 100))
    large = donor_of(stained(surface(shape), mask, -30), mask)
    looks = [draw_look(proposal_rng(1, number), large, mode="gradient") for number in range(20)]
    assert not any(look["mirrored"] for look in looks)
    assert max(np.abs(look["numbers"]["thin_plate"]).max() for look in looks) <= 0.03
