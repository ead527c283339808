"""Where defects go: on the part, clear of labels, as the real ones lie; what finds no place says why."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from synth.placement import LABEL_MARGIN_PX, NoPlace, Prior, draw_direction, learn_prior, place, turn_to
from synth.records import Host
from tests.synth.made import blob, donor_of, host_of, stained, streak, surface

ANYWHERE = Prior(np.zeros((0, 2)), np.full(2, 0.1), np.zeros(0))
DOT = np.pad(np.ones((4, 6), bool), 3)


@pytest.fixture
def host() -> Host:
    found = host_of(surface((60, 80)))
    part, taken = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    part[10:50, 10:70] = True
    taken[20:40, 30:50] = True
    return replace(found, part=part, taken=taken)


def test_always_on_the_part_and_clear_of_labels(host: Host, rng: np.random.Generator) -> None:
    for _ in range(200):
        spot = place(rng, DOT, host, ANYWHERE)
        assert not isinstance(spot, NoPlace)
        y, x = spot[0] + 3, spot[1] + 3
        assert host.part[y : y + 4, x : x + 6].all()
        near = host.taken[max(0, y - LABEL_MARGIN_PX) : y + 4 + LABEL_MARGIN_PX, x : x + 6]
        assert not near.any()


def test_what_finds_no_place_says_why(host: Host, rng: np.random.Generator) -> None:
    assert place(rng, np.ones((61, 5), bool), host, ANYWHERE) == NoPlace("larger than the host")
    assert place(rng, np.zeros((5, 5), bool), host, ANYWHERE) == NoPlace("nothing left of it")
    full = replace(host, taken=np.ones_like(host.taken))
    assert place(rng, DOT, full, ANYWHERE) == NoPlace("no free place on the part")


@pytest.mark.parametrize(
    ("edges", "side"), [((1, 0, 0, 0), 0), ((0, 1, 0, 0), 1), ((0, 0, 1, 0), 2), ((0, 0, 0, 1), 3)]
)
def test_a_defect_at_an_edge_stays_at_that_edge(rng: np.random.Generator, edges: tuple[int, ...], side: int) -> None:
    host = host_of(surface((60, 80)))
    for _ in range(30):
        spot = place(rng, DOT, host, ANYWHERE, [bool(edge) for edge in edges])
        assert not isinstance(spot, NoPlace)
        y, x = spot[0] + 3, spot[1] + 3
        assert [y == 0, y + 4 == 60, x == 0, x + 6 == 80] == [i == side for i in range(4)]


def test_places_follow_the_prior_but_for_the_share_that_explores(rng: np.random.Generator) -> None:
    host = host_of(surface((200, 200)))
    prior = Prior(np.array([[0.2, 0.8]]), np.full(2, 0.03), np.zeros(0), explore=0.25)
    spots = np.array([place(rng, DOT, host, prior) for _ in range(400)]) / 200
    near = np.abs(spots - [0.2, 0.8]).max(axis=1) < 0.15
    assert 0.68 < near.mean() < 0.88


def test_a_prior_of_one_group_is_not_drowned_by_its_many_defects() -> None:
    pit = donor_of(stained(surface((90, 90)), blob((90, 90), (20, 20), (4, 4)), -60), blob((90, 90), (20, 20), (4, 4)))
    many = [replace(pit, group="a", place=(0.1, 0.1))] * 50 + [replace(pit, group="b", place=(0.9, 0.9))]
    assert len(learn_prior(many).places) == 4


def test_directions_are_those_of_long_defects(rng: np.random.Generator) -> None:
    mask = streak((90, 90), (20, 20), (60, 30))
    crack = donor_of(stained(surface((90, 90)), mask, -60), mask, "crack")
    prior = learn_prior([crack], explore=0.0)
    drawn = [draw_direction(rng, prior) for _ in range(200)]
    turned = [math.remainder(one - crack.angle_rad, math.pi) for one in drawn if one is not None]
    assert 60 < len(turned) < 140, "half keep their own"
    assert max(map(abs, turned)) < math.radians(50)
    for mirrored in (False, True):
        turn = turn_to(0.3, crack, mirrored)
        assert math.isclose(
            math.remainder((-1 if mirrored else 1) * crack.angle_rad + turn - 0.3, math.pi), 0, abs_tol=1e-9
        )
