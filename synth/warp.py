"""Move, turn, scale and deform a donor: picture, ground and mask alike, in one resampling.

A plan's numbers: ``stretch`` along the long axis, ``bend`` (arc, S; shares of the length), ``branch`` (where, shares of
the length; angle, rad; length), ``thin_plate`` (3 x 3 x 2, shares of the short side), ``elastic`` (k x k x 2, px of the
donor), ``fit`` (h, w) forces the size in px. ``course`` (stretch, curl, sway) re-draws a curved line (course.py).
From a patch's pixel back to the donor's: fit, scale, rotation, mirror, then in the chord's frame bend and stretch, then
thin plate and elastic.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from synth.bank import RIM_PX
from synth.centreline import Coordinates, bend_offset, half_length, turn, with_branch
from synth.course import Course, Points, course_of, from_redrawn, redraw
from synth.records import Donor, Levels, Mask, Plan

NO_KNOTS = np.empty((0, 2), np.float32)
MOST_PX = RIM_PX / 2  # elastic and thin plate together never pull more than half of the rim in


@dataclass(frozen=True)
class Layers:
    """A donor as it is sampled. upper: (h, w, 4) residual and mask. ground: (h, w, 3). meets_rim: the mask does."""

    upper: npt.NDArray[np.float32]
    ground: Levels
    meets_rim: bool


@dataclass(frozen=True)
class Warped:
    """A donor in its new shape. residual and background: (h, w, 3). mask: (h, w)."""

    residual: Levels
    background: Levels
    mask: Mask


def donor_patch_size(plan: Plan, donor: Donor) -> tuple[int, int]:
    """Return (h, w) of the patch: the bounding box of the donor's crop after scale, rotation, stretch and bend."""
    if "fit" in plan.numbers:
        return int(plan.numbers["fit"][0]), int(plan.numbers["fit"][1])
    return natural_size(plan, donor)


def natural_size(plan: Plan, donor: Donor) -> tuple[int, int]:
    stretch, bend = line_numbers(plan.numbers)
    reach = 0.0
    if any(bend):
        length = half_length(donor, stretch)
        reach = float(np.abs(bend_offset(np.linspace(-length, length, 33, dtype=np.float32), length, bend)).max())
    if branch := plan.numbers.get("branch"):
        reach += 2 * half_length(donor, 1) * branch[2] * abs(math.sin(branch[1]))
    corners = turned_corners(plan, donor, stretch, reach)
    height, width = donor.mask.shape
    top, bottom, left, right = donor.at_edge
    half_h = height / 2 if top or bottom else max(abs(corner.imag) for corner in corners)  # the crop's edge stays
    half_w = width / 2 if left or right else max(abs(corner.real) for corner in corners)
    return max(3, int(2 * plan.scale * half_h + 0.5)), max(3, int(2 * plan.scale * half_w + 0.5))


def turned_corners(plan: Plan, donor: Donor, stretch: float, reach: float) -> list[complex]:
    """Where the crop's corners come to lie, x + iy from its middle, those opposite left out.

    stretch along the chord; reach: px that bend and branch go beyond across it.
    """
    redrawn = redrawn_course(plan, donor)
    if redrawn is not None:
        ends = np.concatenate([redrawn[1] - redrawn[0].width, redrawn[1] + redrawn[0].width]).astype(np.float64)
        around: list[complex] = list((np.sign(ends) * (np.abs(ends) + RIM_PX)) @ np.array([1, 1j]))
        turned_by = cmath.rect(1, plan.angle_rad)
        return [(-one.conjugate() if plan.mirrored else one) * turned_by for one in around]
    height, width = donor.mask.shape
    chord, turned = cmath.rect(1, donor.angle_rad), cmath.rect(1, plan.angle_rad)
    out = []
    for corner in (complex(width, height) / 2, complex(width, -height) / 2):
        own = corner / chord
        for move in (-reach, reach):
            moved = complex(own.real * stretch, own.imag + move) * chord
            out.append((-moved.conjugate() if plan.mirrored else moved) * turned)
    return out


def redrawn_course(plan: Plan, donor: Donor) -> tuple[Course, Points] | None:
    """Return a curved line's own course and the new one; None where the plan draws none."""
    numbers = plan.numbers.get("course")
    course = course_of(donor) if numbers else None
    return None if numbers is None or course is None else (course, redraw(course, *numbers))


def line_numbers(numbers: Mapping[str, Any]) -> tuple[float, tuple[float, float]]:
    bend = numbers.get("bend") or (0.0, 0.0)
    return float(numbers.get("stretch", 1.0)), (float(bend[0]), float(bend[1]))


def source_coordinates(plan: Plan, donor: Donor) -> tuple[Coordinates, Coordinates]:
    """For each pixel of the patch where it comes from in the donor's crop, (x, y) in px, each (h, w)."""
    natural = natural_size(plan, donor)
    height, width = (int(side) for side in plan.numbers.get("fit", natural))
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2)[:, None] * (natural[0] / height / plan.scale)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None, :] * (natural[1] / width / plan.scale)
    x, y = from_patch(x, y, plan, donor)
    shift = deformation(plan.numbers, donor)
    if shift is not None:
        shift = cv2.resize(shift, (width, height), interpolation=cv2.INTER_CUBIC)
        x += shift[:, :, 0]
        y += shift[:, :, 1]
    return x, y


def from_patch(x: Coordinates, y: Coordinates, plan: Plan, donor: Donor) -> tuple[Coordinates, Coordinates]:
    """Undo rotation, mirror, bend, stretch and branch; x (1, w) and y (h, 1) from the middle to (h, w) of the crop."""
    stretch, bend = line_numbers(plan.numbers)
    branch = plan.numbers.get("branch")
    crop_h, crop_w = donor.mask.shape
    to_x, to_y = crop_w / 2 - 0.5, crop_h / 2 - 0.5
    back = rotation(-plan.angle_rad)
    if plan.mirrored:
        back[0] *= -1
    redrawn = redrawn_course(plan, donor)
    if redrawn is not None:
        x, y = from_redrawn(*map_grid(back, x, y), *redrawn)
        return x + np.float32(to_x), y + np.float32(to_y)
    if stretch == 1 and not any(bend) and not branch:
        return map_grid(back, x, y, (to_x, to_y))
    along, across = map_grid(rotation(-donor.angle_rad) @ back, x, y)
    if any(bend):
        across -= bend_offset(along, half_length(donor, stretch), bend)
    along /= np.float32(stretch)
    if branch:
        along, across = with_branch(along, across, donor, (branch[0], branch[1], branch[2]))
    x, y = turn(along, across, donor.angle_rad)
    return x + np.float32(to_x), y + np.float32(to_y)


def rotation(angle: float) -> npt.NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def map_grid(
    matrix: npt.NDArray[np.float64], x: Coordinates, y: Coordinates, start: tuple[float, float] = (0, 0)
) -> tuple[Coordinates, Coordinates]:
    """Apply a 2 x 2 matrix to the grid of x (1, w) and y (h, 1): (h, w) each, by one sum, not by products of grids."""
    (xx, xy), (yx, yy) = matrix.astype(np.float32)
    return (xx * x + np.float32(start[0])) + xy * y, (yx * x + np.float32(start[1])) + yy * y


def deformation(numbers: Mapping[str, Any], donor: Donor) -> npt.NDArray[np.float32] | None:
    """Thin plate plus elastic as one coarse field (17, 17, 2) of px of the donor; None where the plan has neither.

    On a side where the defect meets the image's edge nothing is pulled in from beyond.
    """
    plate, elastic = numbers.get("thin_plate"), numbers.get("elastic")
    if plate is None and elastic is None:
        return None
    knots = np.asarray(plate, np.float32).reshape(-1, 2) * min(donor.mask.shape) if plate is not None else NO_KNOTS
    moves = np.asarray(elastic, np.float32).reshape(-1, 2) if elastic is not None else NO_KNOTS
    basis = deformation_basis(plate is not None, math.isqrt(len(moves)))
    field = (basis @ np.concatenate([knots, moves])).reshape(17, 17, 2)
    return np.asarray(np.clip(field, -MOST_PX, MOST_PX, out=field))


@lru_cache(maxsize=8)
def deformation_basis(plate: bool, side: int) -> npt.NDArray[np.float32]:
    """(289, 9 + side * side): what each control point of thin plate and elastic adds to the coarse field."""
    parts = [thin_plate_basis(17)] if plate else []
    for unit in np.eye(side * side, dtype=np.float32):
        moved = cv2.resize(unit.reshape(side, side), (17, 17), interpolation=cv2.INTER_CUBIC)
        parts.append(moved.reshape(-1, 1))
    return np.hstack(parts)


@lru_cache(maxsize=4)
def thin_plate_basis(side: int) -> npt.NDArray[np.float32]:
    """(side * side, 9): what each of 3 x 3 control points adds to a thin-plate spline on a side x side grid.

    Bookstein 1989 (doi:10.1109/34.24792): kernel r^2 log r^2 with an affine part.
    """
    knots = np.stack(np.meshgrid(np.linspace(0, 1, 3), np.linspace(0, 1, 3)), -1).reshape(9, 2)
    points = np.stack(np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side)), -1).reshape(-1, 2)

    def kernel(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        squared = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.asarray(squared * np.log(squared + 1e-12))

    def affine(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.hstack([np.ones((len(a), 1)), a])

    system = np.zeros((12, 12))
    system[:9, :9], system[:9, 9:], system[9:, :9] = kernel(knots, knots), affine(knots), affine(knots).T
    weights = np.linalg.solve(system, np.eye(12)[:, :9])
    return np.asarray(np.hstack([kernel(points, knots), affine(points)]) @ weights, np.float32)


def warp_donors(plans: Sequence[Plan], donors: Sequence[Donor]) -> list[Warped]:
    """Warp each plan's donor, the defect by cubic interpolation.

    On the processor: a patch is too small for a device to repay its transfer.
    """
    known: dict[str, Layers] = {}
    for donor in donors:
        if donor.donor_id not in known:
            known[donor.donor_id] = make_layers(donor)
    return [warp(plan, donor, known[donor.donor_id]) for plan, donor in zip(plans, donors, strict=True)]


def make_layers(donor: Donor) -> Layers:
    mask = donor.mask
    rim = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    return Layers(np.dstack([donor.residual, mask.astype(np.float32)]), donor.background, bool(rim))


def warp(plan: Plan, donor: Donor, layers: Layers) -> Warped:
    x, y = source_coordinates(plan, donor)
    upper = cv2.remap(layers.upper, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    ground = cv2.remap(layers.ground, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # smooth at the defect
    mask = upper[:, :, 3] > 0.5
    return Warped(upper[:, :, :3], ground, mask & inside_crop(x, y, donor) if layers.meets_rim else mask)


def inside_crop(x: Coordinates, y: Coordinates, donor: Donor) -> Mask:
    """Where a patch's pixel comes from within the crop; a deformation may overshoot where the image's edge was."""
    height, width = donor.mask.shape
    top, bottom, left, right = (MOST_PX + 0.5 if end else 0.5 for end in donor.at_edge)
    return np.asarray((x > -left) & (x < width - 1 + right) & (y > -top) & (y < height - 1 + bottom))


def warp_mask(plan: Plan, donor: Donor) -> Mask:
    """The defect's footprint alone, (h, w), cheaply: what placement asks."""
    x, y = source_coordinates(plan, donor)
    mask = donor.mask.astype(np.float32)
    sampled = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray((sampled > 0.5) & inside_crop(x, y, donor))
