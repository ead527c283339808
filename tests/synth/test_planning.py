"""Plans: a defect that spans its image spans its host, donors take turns, the host is the one most like the donor."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.files import encode_image
from synth.files import read_image as read
from synth.hosts import HostCard
from synth.look import BEND, Habits, learn_habits
from synth.placement import learn_prior
from synth.planning import OpenHosts, Stock, Unplaced, draw_plan, misfit, surface_of
from synth.records import Donor, Image, Plan
from synth.render import patch_size, render_block
from tests.synth.made import blob, donor_of, host_of, stained, streak, surface

SHAPE = (120, 160)


def spanning() -> Donor:
    """A crack from the left edge to the right one."""
    mask = streak(SHAPE, (60, 0), (64, 159), width=4)
    return donor_of(stained(surface(SHAPE), mask, -60), mask)


def round_one(level: float = 150, at: tuple[int, int] = (60, 80)) -> Donor:
    mask = blob(SHAPE, at, (8, 8))
    return donor_of(stained(surface(SHAPE, level=level), mask, -40), mask)


def stock_of(folder: Path, donors: list[Donor], hosts: list[Image]) -> Stock:
    cards = []
    for number, picture in enumerate(hosts):
        path = folder / f"{number}.png"
        path.write_bytes(encode_image(picture, ".png"))
        cards.append(HostCard(str(path), "good", f"h{number}"))
    return Stock(
        "pit", 3, {one.donor_id: one for one in donors}, {}, cards, learn_prior(donors), ("residual",), 0.0, read
    )


def plans_of(stock: Stock, count: int) -> list[Plan | Unplaced]:
    hosts = OpenHosts(stock)
    drawn = [draw_plan(stock, number, hosts) for number in range(count)]
    return [one if isinstance(one, Unplaced) else one[0] for one in drawn]


@pytest.mark.parametrize("width", [120, 160, 230])
def test_a_defect_from_edge_to_edge_ends_at_the_hosts_edges(tmp_path: Path, width: int) -> None:
    donor = spanning()
    stock = stock_of(tmp_path, [donor], [surface((140, width), seed=5)])
    for plan in plans_of(stock, 12):
        assert isinstance(plan, Plan)
        assert patch_size(plan, donor)[1] == width
        host = replace(host_of(surface((140, width), seed=5)), host_id=plan.host_id)
        (variant,) = render_block([plan], stock.donors, {plan.host_id: host}, {})
        assert variant.mask[:, :3].any()
        assert variant.mask[:, -3:].any()


def test_a_host_of_quite_another_size_is_refused_with_its_reason(tmp_path: Path) -> None:
    (plan,) = plans_of(stock_of(tmp_path, [spanning()], [surface((140, 400), seed=5)]), 1)
    assert isinstance(plan, Unplaced)
    assert "spans" in plan.reason


def test_a_defect_a_little_larger_than_its_host_is_shrunk(tmp_path: Path) -> None:
    plans = plans_of(stock_of(tmp_path, [round_one()], [surface((26, 60), seed=5)]), 8)
    assert all(isinstance(plan, Plan) for plan in plans)


def test_donors_take_turns(tmp_path: Path) -> None:
    donors = [round_one(at=(60, 40 + 20 * i)) for i in range(5)]
    plans = plans_of(stock_of(tmp_path, donors, [surface(SHAPE, seed=5)]), 50)
    counts = Counter(plan.source_id for plan in plans if isinstance(plan, Plan))
    assert sorted(counts) == sorted(one.donor_id for one in donors)
    assert min(counts.values()) >= 8


def test_the_host_is_the_one_of_three_most_like_the_donor(tmp_path: Path) -> None:
    hosts = [surface(SHAPE, level=level, seed=level) for level in (60, 150, 230)]
    stock = stock_of(tmp_path, [round_one(level=60), round_one(level=230)], hosts)
    dark, bright = ([], [])
    opened = OpenHosts(stock)
    for number in range(60):
        drawn = draw_plan(stock, number, opened)
        assert not isinstance(drawn, Unplaced)
        level = stock.donors[drawn[0].source_id].background.mean()
        (dark if level < 100 else bright).append(float(drawn[1].picture.mean()))
    assert np.mean(dark) + 40 < np.mean(bright)


def test_likeness_and_fit_are_measured() -> None:
    whole = np.ones(SHAPE, bool)
    assert surface_of(surface(SHAPE, level=60), whole)[0] < surface_of(surface(SHAPE, level=200), whole)[0]
    assert surface_of(surface(SHAPE, grain=1), whole)[1] < surface_of(surface(SHAPE, grain=6), whole)[1]
    assert misfit(round_one(), host_of(surface(SHAPE))) == 0
    assert misfit(spanning(), host_of(surface((140, 320)))) == pytest.approx(np.log(2), abs=0.01)


def test_straight_parallel_cracks_are_neither_bent_nor_turned() -> None:
    straight = [replace(spanning(), group=f"g{i}") for i in range(3)]
    habits = learn_habits(straight, learn_prior(straight).angle_spread)
    assert habits.turn < Habits().turn / 2
    assert max(habits.bend) < 0.2 * max(BEND)
    assert learn_habits([round_one()], 1.0) == Habits()
