"""Each rule fires on what it is for, with its reason, and lets a real-looking defect pass."""

from __future__ import annotations

import doctest
from dataclasses import replace

import cv2
import numpy as np
import pytest

from synth.gates import Funnel, Limits, calibrate, funnel, judge, rules
from synth.gates.form import elongation
from synth.gates.seam import boxiness
from synth.records import Variant, Verdict
from tests.synth.gates.scene import SIDE, donor, draw, host, made, pasted

STAINS = [donor("stain", seed) for seed in range(8)]
HOST = host()
HALF = replace(HOST, part=np.tile(np.arange(SIDE) > 120, (SIDE, 1)))  # its left half is no product
LIMITS = calibrate(STAINS, [HOST], None)
OPEN = Limits(n_real=1)  # the defaults, as for a recipe without a real example


def broken(variant: Variant, limits: Limits = LIMITS, on=HOST) -> Verdict:  # type: ignore[no-untyped-def]
    last = judge(variant, on, None, limits)[-1]
    assert not last.ok, "no rule fired"
    assert len(last.reason) > 20
    return last


def test_order_and_reasons() -> None:
    names = [one.name for one in rules()]
    assert names == ["visible", "on-part", "clear", "area", "aspect", "contrast", "elsewhere", "seam", "cut-out"]
    assert all(len(one.reason) > 15 for one in rules())


def test_most_of_the_same_kind_pass() -> None:
    verdicts = [judge(draw("stain", seed, host(seed)), host(seed), None, LIMITS) for seed in range(20)]
    kept = [all(one.ok for one in each) for each in verdicts]
    assert np.mean(kept) >= 0.7, [each[-1] for each in verdicts if not each[-1].ok]
    assert {one.rule for each in verdicts for one in each} == {one.name for one in rules()}


@pytest.mark.parametrize("name", ["scratch", "crack", "pit", "dent", "missing", "print", "fibre", "particle"])
def test_recipes_pass_without_a_real_example(name: str) -> None:
    verdicts = [judge(draw(name, seed, host(seed)), host(seed), None, Limits())[-1] for seed in range(10)]
    lost = [one for one in verdicts if not one.ok]
    assert len(lost) <= 3, lost


def test_empty_mask_is_not_visible() -> None:
    variant = draw("stain", 1, HOST)
    empty = replace(variant, mask=np.zeros_like(variant.mask), contrast=0.0)
    assert broken(empty).rule == "visible"
    nothing = replace(empty, meant=np.zeros_like(variant.mask))
    assert broken(nothing).rule == "visible"


def test_half_of_it_unseen() -> None:
    variant = draw("stain", 1, HOST)
    rows = np.cumsum(variant.mask.sum(axis=1))
    half = variant.mask & (np.arange(SIDE) < np.searchsorted(rows, rows[-1] / 2))[:, None]
    verdict = broken(replace(variant, mask=half))
    assert verdict.rule == "visible"
    assert verdict.value == pytest.approx(0.5, abs=0.1)


def test_beside_the_part() -> None:
    verdict = broken(draw("stain", 1, HOST, at=(60, 0)), on=HALF)
    assert (verdict.rule, verdict.value) == ("on-part", 0)


def test_on_a_label() -> None:
    taken = np.ones((SIDE, SIDE), bool)
    verdict = broken(draw("stain", 1, HOST), on=replace(HOST, taken=taken))
    assert verdict.rule == "clear"
    assert "labelled already" in verdict.reason


def test_a_speck_is_no_stain() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[100:103, 100:103] = True
    picture = HOST.picture.copy()
    picture[mask] = 30
    plan = draw("stain", 1, HOST).plan
    verdict = broken(made(plan, picture, mask, HOST))
    assert verdict.rule == "area"
    assert "area is not one of this class: 9;" in verdict.reason


def test_a_scratch_is_no_stain() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[100:105, 30:190] = True
    picture = HOST.picture.copy()
    picture[mask] -= np.minimum(picture[mask], 30)
    assert broken(made(draw("stain", 1, HOST).plan, picture, mask, HOST)).rule == "aspect"


def test_too_faint_and_too_strong() -> None:
    assert broken(draw("stain", 1, HOST, strength=0.08)).rule == "contrast"
    strong = draw("stain", 1, HOST)
    picture = HOST.picture.copy()
    picture[strong.mask] = 255
    assert broken(replace(strong, picture=picture)).rule == "contrast"


def test_a_change_beside_the_label() -> None:
    assert broken(pasted(HOST, tight=True), replace(LIMITS, contrast=(4, None))).rule == "elsewhere"


def test_a_hard_rectangular_paste_has_a_seam_where_real_ones_are_soft() -> None:
    wide = replace(LIMITS, area=(4, None), aspect=(None, None), contrast=(4, None))
    assert broken(pasted(HOST, tight=False), wide).rule == "seam"


def test_a_hard_rectangular_paste_is_a_cut_out_where_real_ones_are_sharp() -> None:
    verdict = broken(pasted(HOST, tight=False), OPEN)
    assert verdict.rule in ("seam", "cut-out")
    assert broken(pasted(HOST, tight=False), replace(OPEN, seam=(None, None))).rule == "cut-out"


def test_real_ones_have_no_seam_and_are_no_cut_outs() -> None:
    assert LIMITS.seam[1] is not None
    for seed in range(20, 30):
        verdicts = {one.rule: one for one in judge(draw("stain", seed, HOST), HOST, None, replace(LIMITS,
                    area=(4, None), aspect=(None, None), contrast=(4, None)))}  # fmt: skip
        for name in ("seam", "cut-out"):
            assert name not in verdicts or verdicts[name].ok, verdicts[name]


@pytest.mark.parametrize("angle", [0, 20, 45])
def test_boxiness_whatever_the_rotation(angle: float) -> None:
    box = cv2.boxPoints(((100.0, 100.0), (60.0, 30.0), angle)).round().astype(np.int32)
    mask = cv2.fillPoly(np.zeros((SIDE, SIDE), np.uint8), [box], 1).astype(bool)
    assert boxiness(mask) > 0.92
    disc = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (100, 100), 30, 1, -1).astype(bool)
    assert boxiness(disc) == pytest.approx(np.pi / 4, abs=0.05)


def test_elongation_by_hand() -> None:
    mask = np.zeros((20, 40), bool)
    mask[5:9, 4:36] = True  # 4 x 32
    assert elongation(mask) == pytest.approx(8, rel=0.01)
    assert elongation(np.ones((7, 7), bool)) == pytest.approx(1)


def test_few_real_ones_widen_and_are_said_to_be_uncalibrated() -> None:
    few = calibrate(STAINS[:2], [HOST], None)
    assert {"area", "contrast", "realism"} <= set(few.uncalibrated)
    assert LIMITS.uncalibrated == ()
    areas = [float(one.mask.sum()) for one in STAINS[:2]]
    assert few.area == (min(areas) / 3, max(areas) * 3)
    assert calibrate([], [], None) == Limits()
    assert "area" in Limits().uncalibrated


def test_one_group_cannot_tell_how_far_real_ones_lie_apart() -> None:
    assert calibrate([replace(one, group="a") for one in STAINS], [HOST], None).uncalibrated == ("near-real", "realism")


def test_the_funnels_example() -> None:
    assert doctest.testmod(funnel).failed == 0


def test_funnel_counts_the_first_rule_broken() -> None:
    counts = Funnel()
    assert counts.count(judge(draw("stain", 1, HOST, at=(60, 0)), HALF, None, LIMITS)) is False
    assert counts.count([Verdict("area", True, 9.0, (4.0, None), "")]) is True
    rows = {name: (n_in, lost, kept) for name, n_in, lost, kept in counts.rows()}
    assert rows["visible"] == (2, 0, 2)
    assert rows["on-part"] == (2, 1, 1)
    assert rows["realism"] == (1, 0, 1)
    assert counts.n_kept == 1
    assert counts.table().splitlines()[0].split() == ["rule", "in", "rejected", "kept"]
