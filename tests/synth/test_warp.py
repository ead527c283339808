"""Warping: identity, size, direction, edges, and long defects that bend and keep their width."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.bank import direction
from synth.records import Donor, Mask
from synth.render import patch_size, warped_mask
from synth.warp import deformation, thin_plate_basis, warp_donors
from tests.synth.made import blob, donor_of, plan_of, stained, streak, surface

SHAPE = (140, 180)


@pytest.fixture
def pit() -> Donor:
    mask = blob(SHAPE, (60, 80), (10, 16))
    return donor_of(stained(surface(SHAPE), mask, -60), mask)


@pytest.fixture
def crack() -> Donor:
    mask = streak(SHAPE, (30, 40), (100, 130))
    return donor_of(stained(surface(SHAPE), mask, -60), mask, "crack")


def width_of(mask: Mask) -> float:
    """Area over length of the line through the mask's middle, px."""
    ys, xs = np.nonzero(mask)
    order = np.argsort(xs)
    steps = np.array_split(order, 12)
    line = np.array([[ys[s].mean(), xs[s].mean()] for s in steps])
    whole = np.linalg.norm(np.diff(line, axis=0), axis=1).sum() * 12 / 11
    return float(mask.sum() / whole)


def test_identity_is_the_donor(pit: Donor) -> None:
    (warped,) = warp_donors([plan_of(pit)], [pit])
    assert np.array_equal(warped.mask, pit.mask)
    assert np.abs(warped.residual - pit.residual).max() < 0.05
    assert np.abs(warped.background - pit.background).max() < 0.05


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.3), (0.5, 1.0), (np.pi / 2, 0.8), (np.pi, 1.0)])
def test_area_goes_with_scale_and_the_axis_turns(pit: Donor, angle: float, scale: float) -> None:
    plan = plan_of(pit, angle_rad=angle, scale=scale)
    (warped,) = warp_donors([plan], [pit])
    assert warped.mask.shape == patch_size(plan, pit)
    assert warped.mask.sum() == pytest.approx(pit.mask.sum() * scale**2, rel=0.06)
    turned, _ = direction(warped.mask)
    assert abs((turned - pit.angle_rad - angle + np.pi / 2) % np.pi - np.pi / 2) < 0.05


def test_mirroring_turns_the_axis_round(crack: Donor) -> None:
    (warped,) = warp_donors([plan_of(crack, mirrored=True)], [crack])
    assert direction(warped.mask)[0] == pytest.approx(-crack.angle_rad, abs=0.02)


@pytest.mark.parametrize("bend", [(0.12, 0.0), (-0.1, 0.05), (0.0, 0.1)])
def test_a_long_defect_bends_and_keeps_its_width(crack: Donor, bend: tuple[float, float]) -> None:
    plan = plan_of(crack, numbers={"bend": list(bend)})
    (warped,) = warp_donors([plan], [crack])
    straight = direction(crack.mask)[1]
    assert direction(warped.mask)[1] < 0.7 * straight
    assert width_of(warped.mask) == pytest.approx(width_of(crack.mask), rel=0.12)
    assert not warped.mask[0].any()
    assert not warped.mask[:, 0].any()


@pytest.mark.parametrize("stretch", [0.7, 1.4])
def test_a_long_defect_lengthens_and_keeps_its_width(crack: Donor, stretch: float) -> None:
    (warped,) = warp_donors([plan_of(crack, numbers={"stretch": stretch})], [crack])
    assert np.ptp(np.nonzero(warped.mask)[1]) == pytest.approx(stretch * np.ptp(np.nonzero(crack.mask)[1]), rel=0.05)
    assert width_of(warped.mask) == pytest.approx(width_of(crack.mask), rel=0.1)


def test_a_branch_leaves_the_line_with_the_same_width(crack: Donor) -> None:
    plain, branched = (
        warp_donors([plan_of(crack, numbers=numbers)], [crack])[0].mask
        for numbers in ({"stretch": 1.001}, {"stretch": 1.001, "branch": [0.3, 0.7, 0.4]})
    )
    assert branched.sum() == pytest.approx(plain.sum() * 1.4, rel=0.1)
    n, _ = cv2.connectedComponents(branched.astype(np.uint8))
    assert n == 2  # ground and one defect
    pixels = np.argwhere(branched) - (np.array(branched.shape) - 1) / 2  # off the trunk: the branch's tip
    aside = pixels @ np.array([np.cos(crack.angle_rad), -np.sin(crack.angle_rad)])
    length = np.hypot(70, 90)
    assert np.abs(aside).max() == pytest.approx(0.4 * length * np.sin(0.7), rel=0.15)
    assert not branched[0].any()
    assert not branched[-1].any()


def test_deformations_move_the_outline_but_not_to_the_patchs_edge(pit: Donor) -> None:
    rng = np.random.default_rng(1)
    numbers = {"thin_plate": rng.normal(0, 0.05, (3, 3, 2)).tolist(), "elastic": rng.normal(0, 1.5, (6, 6, 2)).tolist()}
    (warped,) = warp_donors([plan_of(pit, numbers=numbers)], [pit])
    assert (warped.mask != pit.mask).sum() > 10
    assert warped.mask.sum() == pytest.approx(pit.mask.sum(), rel=0.3)
    assert not warped.mask[:2].any()
    assert np.array_equal(warped_mask(plan_of(pit, numbers=numbers), pit), warped.mask) or (
        (warped_mask(plan_of(pit, numbers=numbers), pit) != warped.mask).mean() < 0.01
    )


def test_a_thin_plate_keeps_its_control_points_and_planes() -> None:
    basis = thin_plate_basis(17)
    knots = np.stack(np.meshgrid(np.linspace(0, 1, 3), np.linspace(0, 1, 3)), -1).reshape(9, 2)
    spread = (basis @ knots.astype(np.float32)).reshape(17, 17, 2)
    assert np.abs(spread[:, :, 0] - np.linspace(0, 1, 17)[None, :]).max() < 1e-4
    assert np.abs(basis.reshape(17, 17, 9)[::8, ::8].reshape(9, 9) - np.eye(9)).max() < 1e-4


def test_a_deformation_is_the_sum_of_its_two(pit: Donor) -> None:
    rng = np.random.default_rng(1)
    plate, elastic = rng.normal(0, 0.02, (3, 3, 2)), rng.normal(0, 0.5, (6, 6, 2))
    both, bent, shaken = (
        deformation(numbers, pit)
        for numbers in ({"thin_plate": plate, "elastic": elastic}, {"thin_plate": plate}, {"elastic": elastic})
    )
    assert both is not None
    assert bent is not None
    assert shaken is not None
    assert np.abs(both - bent - shaken).max() < 1e-5
    assert np.abs(bent[::8, ::8] - plate * min(pit.mask.shape)).max() < 1e-4
    coarse = cv2.resize(elastic.astype(np.float32), (17, 17), interpolation=cv2.INTER_CUBIC)
    assert np.abs(shaken - coarse).max() < 1e-5
    assert deformation({}, pit) is None


def test_fit_forces_the_size(pit: Donor) -> None:
    plan = plan_of(pit, numbers={"fit": [70, 41]})
    (warped,) = warp_donors([plan], [pit])
    assert warped.mask.shape == patch_size(plan, pit) == (70, 41)


def test_a_donor_at_the_edge_stays_at_the_edge() -> None:
    mask = blob(SHAPE, (0, 80), (16, 16))
    donor = donor_of(stained(surface(SHAPE), mask, -60), mask)
    elastic = np.random.default_rng(1).normal(0, 1.5, (6, 6, 2)).tolist()
    (warped,) = warp_donors([plan_of(donor, numbers={"elastic": elastic})], [donor])
    assert warped.mask[0].sum() > 20


def test_a_branching_crack_from_the_edge_starts_at_the_edge() -> None:
    mask = streak(SHAPE, (0, 60), (110, 80))
    donor = donor_of(stained(surface(SHAPE), mask, -60), mask, "crack")
    plan = plan_of(donor, numbers={"branch": [0.4, 0.8, 0.4], "bend": [0.1, 0.0]})
    (warped,) = warp_donors([plan], [donor])
    assert warped.mask.shape[0] == donor.mask.shape[0]
    assert warped.mask[0].any()


def test_any_company_gives_the_same(pit: Donor, crack: Donor) -> None:
    plans = [plan_of(pit), plan_of(crack, scale=0.9), plan_of(pit, scale=1.9), plan_of(crack, angle_rad=0.2)]
    donors = [pit, crack, pit, crack]
    for plan, donor, together in zip(plans, donors, warp_donors(plans, donors), strict=True):
        (alone,) = warp_donors([plan], [donor])
        assert np.abs(alone.residual - together.residual).max() < 1e-3
