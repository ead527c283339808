"""When a gap is given up: the bound by hand, its error by drawing, and sets that end early because of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.fill import Filled, GapAim, Target, fill_gaps
from synth.generate import generate
from synth.giving_up import Effort, fewest_needed, highest_rate, is_region_vain, looks_of
from synth.stocking import GenerateRequest
from tests.synth.sets import write_set
from tests.synth.test_fill import find_dark, line, number, region

LIMIT = 640


def test_the_bound_by_hand() -> None:
    """None of n: the rate p at which (1 - p) ** n is the error. One of two at 5 %: 1 - p ** 2 = 0.95."""
    assert highest_rate(0, 60, 0.05) == pytest.approx(1 - 0.05 ** (1 / 60))
    assert highest_rate(1, 2, 0.05) == pytest.approx(np.sqrt(0.95))
    assert highest_rate(3, 3, 0.05) == highest_rate(0, 5, 0) == 1
    assert highest_rate(1, 100, 0.05) > highest_rate(0, 100, 0.05) > highest_rate(0, 200, 0.05)


def test_a_gap_is_given_up_once_the_rest_cannot_fill_it() -> None:
    """Five are needed: of 640, none in 224 leaves 5.5 of 416 possible, none in 256 leaves 4.5 of 384."""
    assert not Effort(224, LIMIT - 224, 0.05).is_vain(0, 5)
    assert Effort(256, LIMIT - 256, 0.05).is_vain(0, 5)
    assert not Effort(256, LIMIT - 256, 0.01).is_vain(0, 5)
    assert not Effort(256, LIMIT - 256, 0.05).is_vain(0, 4), "the less is needed, the longer it takes to tell"
    assert not Effort(LIMIT, 0, 0.05).is_vain(0, 5), "nothing is left that could be spared"
    assert not Effort(600, 40, 0).is_vain(0, 5), "switched off"


def test_how_often_a_gap_that_the_rest_would_fill_is_given_up() -> None:
    """The landing rate at the look that gives up is just enough for the rest: the worst case that the error is for."""
    rng = np.random.default_rng(1)
    looks = [32 * at for at in looks_of(LIMIT // 32)]
    look = next(at for at in looks if Effort(at, LIMIT - at, 0.05).is_vain(0, 5))
    landed = rng.binomial(look, 5 / (LIMIT - look), 4000)
    assert (landed == 0).mean() <= 0.05


def test_how_often_a_point_with_some_landings_is_misjudged() -> None:
    """Every look counts: rates that would fill the region's one point in the whole run, several looks, one chance."""
    rng = np.random.default_rng(2)
    looks = [32 * at for at in looks_of(LIMIT // 32)]
    n_wrong = 0
    for _ in range(500):
        hits = rng.random(LIMIT) < 12 / LIMIT
        for at in looks:
            near = hits[:at][None]
            effort = Effort(at, LIMIT - at, 0.05, len(looks))
            would = near.sum() + 12 / LIMIT * (LIMIT - at) >= 5
            if near.sum() < 5 and would and is_region_vain(effort, near, np.zeros(1, int), 5, 0.9):
                n_wrong += 1
                break
    assert n_wrong <= 0.05 * 500


def test_what_a_region_takes_at_least() -> None:
    assert fewest_needed(np.array([5, 5, 2, 0]), 0.5) == 2
    assert fewest_needed(np.array([5] * 9 + [-3]), 0.9) == 5
    near = np.zeros((10, 400), bool)
    near[:8] = True
    late = Effort(400, 40, 0.05, 3)
    assert is_region_vain(late, near, np.zeros(10, int), 5, 0.9), "two of ten are out of reach, 90 % are wanted"
    near[8] = True
    assert not is_region_vain(late, near, np.zeros(10, int), 5, 0.9)
    assert is_region_vain(late, np.zeros((10, 0), bool), np.zeros(10, int), 5, 0.9)
    assert not is_region_vain(Effort(32, 600, 0.05, 3), np.zeros((10, 0), bool), np.zeros(10, int), 5, 0.9)


def fill(*targets: Target, at: np.ndarray, effort: Effort) -> Filled:
    return fill_gaps(targets, at, np.ones((len(targets), len(at)), bool), most=50, reach=1, effort=effort)


def test_the_verdict_says_so_with_the_figure() -> None:
    late = Effort(256, 128, 0.05)
    found = fill(region("far", 30), region("near", 10), number("n", 0, 2), at=line(10, 10.1, 20), effort=late)
    far, near, lacking = found.verdicts
    assert (far.outcome, far.given_up) == ("unreachable", True)
    assert far.reason.endswith("given up after 256 of 384 proposals: at most 1.16% land there (95% sure), 1.5 of the "
                               "rest, and 2 are needed")  # fmt: skip
    assert (near.outcome, near.given_up, lacking.given_up) == ("closed", False, False)
    assert found.is_enough(50)
    assert not fill(region("far", 30), at=line(10), effort=replace(late, error=0)).is_enough(50)
    partly = fill(region("partly", 10, 30), at=line(10, 10.1), effort=late).verdicts[0]
    assert (partly.outcome, partly.given_up) == ("narrowed", True)
    assert partly.reason.endswith("none comes near 1 of its 2 images; given up after 256 of 384 proposals: "
                                  "the rest would not cover it")  # fmt: skip
    none = fill(number("n", 0, 2), at=np.zeros((0, 2), np.float32), effort=late)
    assert none.verdicts[0].given_up
    assert none.is_enough(50)
    some = fill(number("n", 0, 9), at=line(1), effort=late)
    assert not some.verdicts[0].given_up, "each further one counts"


def test_one_gap_out_of_reach_does_not_cost_all_proposals(tmp_path: Path) -> None:
    labels = write_set(tmp_path / "data")
    nobody = np.empty((0, 2), np.float32)
    middle = Target("middle", 0, 2, 2, nobody, np.array([[0.4, 0.4]], np.float32), 2)
    outside = Target("outside", 0, 5, 5, nobody, np.array([[3.0, 3.0]], np.float32), 5)
    asked = GenerateRequest(labels, "scratch", tmp_path / "set", count=8, seed=7, most_proposals=LIMIT, explore=1.0,
                            blends=("residual",), gated=False)  # fmt: skip
    summary = generate(asked, aim=GapAim((middle, outside), 0.15, find_dark, "a"))
    assert [one["outcome"] for one in summary.gaps] == ["closed", "unreachable"]
    assert [one["given_up"] for one in summary.gaps] == [False, True]
    assert summary.n_proposals == 256
    assert summary.stopped == "1 of 2 gaps stay open after 256 proposals, which more would not fill"
