"""Curved lines: their course is found, and re-drawn with their width kept; what is no single line is left alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.course import Course, course_of, from_redrawn, redraw, thin
from synth.look import draw_look
from synth.records import Donor, Mask, Plan
from synth.render import patch_size, render_block, warped_mask
from tests.synth.made import blob, donor_of, host_of, overlap, stained, streak, surface

T = np.linspace(0, 1, 80)
CURVES = {
    "C": np.stack([80 - 45 * np.cos(np.pi * (1.4 * T - 0.7)), 80 + 45 * np.sin(np.pi * (1.4 * T - 0.7))], 1),
    "S": np.stack([30 + 100 * T, 70 + 26 * np.sin(2 * np.pi * T)], 1),
    "hook": np.concatenate([np.stack([30 + 80 * T, 40 + 0 * T], 1), np.stack([110 + 0 * T, 40 + 60 * T], 1)]),
}


def drawn(name: str, width: int = 3) -> Mask:
    out = np.zeros((160, 160), np.uint8)
    cv2.polylines(out, [np.rint(CURVES[name]).astype(np.int32)], isClosed=False, color=1, thickness=width)
    return out > 0


def cracked(mask: Mask) -> Donor:
    return donor_of(stained(surface((160, 160), grain=1, seed=1), mask, -70), mask, "crack")


def course_in(mask: Mask) -> Course:
    found = course_of(cracked(mask))
    assert found is not None
    return found


def plan(donor: Donor, numbers: list[float], **look: object) -> Plan:
    whole = {"numbers": {"course": numbers}, **look}
    return Plan(0, "crack", "donor", donor.donor_id, "h", (20, 20), "residual", **whole)  # type: ignore[arg-type]


def length_of(points: np.ndarray) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def turning_of(points: np.ndarray) -> float:
    steps = np.diff(points, axis=0)
    return float(np.ptp(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))))


def test_a_skeleton_is_thin_and_whole() -> None:
    mask = drawn("S", 7)
    bone = thin(mask)
    assert not (bone & ~mask).any()
    assert cv2.connectedComponents(bone.astype(np.uint8), connectivity=8)[0] == 2
    squares = sum(bone[y : 159 + y, x : 159 + x].astype(int) for y in (0, 1) for x in (0, 1))
    assert squares.max() <= 3, "nowhere two pixels wide both ways"
    assert not thin(np.zeros((5, 5), bool)).any()


@pytest.mark.parametrize("name", CURVES)
def test_the_course_is_the_line_that_was_drawn(name: str) -> None:
    mask = drawn(name)
    found = course_in(mask)
    assert found.width == pytest.approx(mask.sum() / length_of(CURVES[name]), rel=0.1)
    assert length_of(found.points) == pytest.approx(length_of(CURVES[name]), rel=0.08)
    steps = np.hypot(*np.diff(found.points, axis=0).T)
    assert steps.max() < 1.1
    ys, xs = np.nonzero(mask)
    middle = np.array([xs.min() + xs.max(), ys.min() + ys.max()]) / 2
    apart = np.hypot(*(found.points[:, None] + middle - CURVES[name][None]).transpose(2, 0, 1)).min(axis=1)
    assert np.median(apart) < 1


def test_what_is_no_single_line_has_no_course() -> None:
    cross = streak((160, 160), (30, 80), (130, 80)) | streak((160, 160), (80, 30), (80, 130))
    pair = streak((160, 160), (60, 40), (60, 120)) | streak((160, 160), (64, 40), (64, 120))
    ring = np.zeros((160, 160), np.uint8)
    cv2.circle(ring, (80, 80), 30, 1, 3)
    tight = np.zeros((160, 160), np.uint8)
    cv2.ellipse(tight, (80, 80), (45, 7), 0, 20, 340, 1, 3)
    edge = np.roll(drawn("S"), 30, axis=1)
    for mask in (
        blob((160, 160), (80, 80), (20, 30)),
        cross,
        pair,
        ring > 0,
        tight > 0,
        edge,
        blob((160, 160), (80, 80), (2, 2)),
    ):
        assert course_of(cracked(mask)) is None


def test_redrawn_as_asked() -> None:
    course = course_in(drawn("C"))
    own = length_of(course.points), turning_of(course.points)
    same = redraw(course, 1, 0, 0)
    assert np.abs(same - course.points).max() < 0.05
    assert length_of(redraw(course, 1.3, 0, 0)) == pytest.approx(1.3 * own[0], rel=1e-3)
    assert turning_of(redraw(course, 1, -0.3, 0)) == pytest.approx(0.7 * own[1], rel=1e-3)
    assert turning_of(redraw(course, 1, 0.35, 0)) <= 1.5 * np.pi + 0.01, "it does not bite its tail"
    assert np.abs(redraw(course, 1.2, -0.3, 0.2).mean(axis=0) - course.points.mean(axis=0)).max() < 0.01
    x, y = (one.astype(np.float32) for one in np.meshgrid(np.arange(-40, 40), np.arange(-40, 40)))
    back = from_redrawn(x, y, course, same)
    near = np.hypot(x[..., None] - course.points[:, 0], y[..., None] - course.points[:, 1]).min(axis=2) < 3
    assert np.hypot(back[0] - x, back[1] - y)[near].max() < 0.3


@pytest.mark.parametrize("name", CURVES)
def test_width_stays_and_nothing_else_appears(name: str) -> None:
    """Where the line crosses its chord steeply a stretch along the chord widens it; along its course it does not."""
    donor = cracked(drawn(name))
    assert overlap(warped_mask(plan(donor, [1, 0, 0]), donor), warped_mask(plan(donor, [1, 0, 0]), donor)) == 1
    for numbers in ([1, 0, 0], [1.4, 0, 0], [0.7, 0, 0.3], [1, 0.35, -0.3], [1.2, -0.35, 0]):
        for look in ({}, {"angle_rad": 0.7}, {"mirrored": True, "scale": 1.2}):
            asked = plan(donor, numbers, **look)
            mask = warped_mask(asked, donor)
            assert mask.shape == patch_size(asked, donor)
            assert cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] == 2, (
                f"{numbers} {look}: a piece from elsewhere"
            )
            assert mask.sum() == mask[1:-1, 1:-1].sum(), "cut off by the patch's edge"
            scale = float(look.get("scale", 1.0))  # type: ignore[arg-type]
            length = numbers[0] * length_of(course_in(drawn(name)).points) * scale
            assert mask.sum() / length == pytest.approx(
                scale * donor.mask.sum() / (length / numbers[0] / scale), rel=0.12
            )


def test_nothing_appears_from_elsewhere_in_any_look() -> None:
    """A wiggly hairpin on texture, shaken as well: pieces of the line beside the line were seen once."""
    wiggle = np.cumsum(np.random.default_rng(5).normal(0, 0.5, (120, 2)), 0)
    t = np.linspace(0, 1, 120)
    mask = np.zeros((160, 160), np.uint8)
    hairpin = np.stack([40 + 80 * np.sin(2.6 * t + 0.2), 30 + 100 * t], 1) + wiggle
    cv2.polylines(mask, [np.rint(hairpin).astype(np.int32)], isClosed=False, color=1, thickness=2)
    for donor in (cracked(mask > 0), *(cracked(drawn(name, 2)) for name in CURVES)):
        for seed in range(25):
            look = draw_look(np.random.default_rng(seed), donor, mode="residual")
            assert "course" in look["numbers"]
            seen = warped_mask(Plan(0, "crack", "donor", donor.donor_id, "h", (0, 0), "residual", **look), donor)
            areas = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
            assert areas.max() > 0.9 * areas.sum() > 0, f"seed {seed}: {areas}"


def test_curved_ones_are_drawn_and_rendered_and_others_as_before() -> None:
    donor = cracked(drawn("C"))
    host = host_of(surface((220, 220), grain=1, seed=2))
    looks = [draw_look(np.random.default_rng(seed), donor, mode="residual") for seed in range(6)]
    assert len({tuple(look["numbers"]["course"]) for look in looks}) == 6
    asked = [
        Plan(i, "crack", "donor", donor.donor_id, "h", (20, 20), "residual", **look) for i, look in enumerate(looks)
    ]
    for one, variant in zip(asked, render_block(asked, {donor.donor_id: donor}, {"h": host}, {}), strict=True):
        seen = variant.picture[..., 0].astype(int) - host.picture[..., 0]
        assert variant.mask.sum() > 0.8 * donor.mask.sum() * one.scale**2 * one.numbers["course"][0]
        assert seen[variant.mask].mean() < -25
    for other in (cracked(blob((160, 160), (80, 80), (10, 14))), cracked(streak((160, 160), (80, 40), (90, 120)))):
        assert "course" not in draw_look(np.random.default_rng(0), other, mode="residual")["numbers"]
