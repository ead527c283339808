"""Move, turn, scale and deform a donor: picture, ground and mask alike, in one resampling.

A plan's numbers: ``stretch`` along the long axis, ``bend`` (arc, S; shares of the length), ``branch`` (where, shares of
the length; angle, rad; length), ``thin_plate`` (3 x 3 x 2, shares of the short side), ``elastic`` (k x k x 2, px of the
donor), ``fit`` (h, w) forces the patch's size in px.
From a patch's pixel back to the donor's: fit, scale, rotation, mirror, then in the chord's frame bend and stretch, then
thin plate and elastic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import grid_sample

from synth.bank import RIM_PX
from synth.buckets import bucket
from synth.centreline import Coordinates, bend_offset, half_length, turn, with_branch
from synth.records import Donor, Levels, Mask, Plan

MOST_PX = RIM_PX / 2  # elastic and thin plate together never pull more than half of the rim in


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
    height, width = donor.mask.shape
    corners = np.array([(x, y) for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)])
    stretch, bend = line_numbers(plan.numbers)
    along, across = turn(corners[:, 0], corners[:, 1], -donor.angle_rad)
    reach = 0.0
    if any(bend):
        length = half_length(donor, stretch)
        reach = float(np.abs(bend_offset(np.linspace(-length, length, 33, dtype=np.float32), length, bend)).max())
    if branch := plan.numbers.get("branch"):
        reach += 2 * half_length(donor, 1) * branch[2] * abs(np.sin(branch[1]))
    points = [turn(along * stretch, across + move, donor.angle_rad) for move in (-reach, reach)]
    x, y = (np.concatenate(parts) for parts in zip(*points, strict=True))
    x, y = turn(-x if plan.mirrored else x, y, plan.angle_rad)
    top, bottom, left, right = donor.at_edge
    half_h = height / 2 if top or bottom else float(np.abs(y).max())  # the crop's edge stays the patch's edge
    half_w = width / 2 if left or right else float(np.abs(x).max())
    return max(3, int(2 * plan.scale * half_h + 0.5)), max(3, int(2 * plan.scale * half_w + 0.5))


def line_numbers(numbers: Mapping[str, Any]) -> tuple[float, tuple[float, float]]:
    bend = numbers.get("bend") or (0.0, 0.0)
    return float(numbers.get("stretch", 1.0)), (float(bend[0]), float(bend[1]))


def source_coordinates(plan: Plan, donor: Donor) -> tuple[Coordinates, Coordinates]:
    """For each pixel of the patch where it comes from in the donor's crop, (x, y) in px, each (h, w)."""
    natural = natural_size(plan, donor)
    height, width = (int(side) for side in plan.numbers.get("fit", natural))
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2)[:, None] * np.float32(natural[0] / height / plan.scale)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None, :] * np.float32(natural[1] / width / plan.scale)
    x, y = np.broadcast_arrays(x, y)
    if plan.angle_rad:
        x, y = turn(x, y, -plan.angle_rad)
    if plan.mirrored:
        x = -x
    stretch, bend = line_numbers(plan.numbers)
    branch = plan.numbers.get("branch")
    if stretch != 1 or any(bend) or branch:
        along, across = turn(x, y, -donor.angle_rad)
        if any(bend):
            across = across - bend_offset(along, half_length(donor, stretch), bend)
        along = along / np.float32(stretch)
        if branch:
            along, across = with_branch(along, across, donor, (branch[0], branch[1], branch[2]))
        x, y = turn(along, across, donor.angle_rad)
    shift = deformation(plan.numbers, donor)
    if shift is not None:
        shift = cv2.resize(shift, (width, height), interpolation=cv2.INTER_CUBIC)
        x, y = x + shift[:, :, 0], y + shift[:, :, 1]
    crop_h, crop_w = donor.mask.shape
    return x + np.float32(crop_w / 2 - 0.5), y + np.float32(crop_h / 2 - 0.5)


def deformation(numbers: Mapping[str, Any], donor: Donor) -> npt.NDArray[np.float32] | None:
    """Thin plate plus elastic as one coarse field (17, 17, 2) of px of the donor; None where the plan has neither.

    On a side where the defect meets the image's edge nothing is pulled in from beyond.
    """
    field = np.zeros((17, 17, 2), np.float32)
    if numbers.get("thin_plate") is not None:
        knots = np.asarray(numbers["thin_plate"], np.float32).reshape(9, 2) * min(donor.mask.shape)
        field += (thin_plate_basis(17) @ knots).reshape(17, 17, 2)
    if numbers.get("elastic") is not None:
        field += cv2.resize(np.asarray(numbers["elastic"], np.float32), (17, 17), interpolation=cv2.INTER_CUBIC)
    if not field.any():
        return None
    return np.clip(field, -MOST_PX, MOST_PX)


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


def warp_donors(plans: Sequence[Plan], donors: Sequence[Donor], device: str = "cpu") -> list[Warped]:
    """Warp each plan's donor. Plans of one size bucket are sampled together, cubic, in one call."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    places = [source_coordinates(plan, donor) for plan, donor in zip(plans, donors, strict=True)]
    for index, (donor, (x, _)) in enumerate(zip(donors, places, strict=True)):
        groups[tuple(bucket(n) for n in (*x.shape, *donor.mask.shape))].append(index)
    out: list[Warped | None] = [None] * len(plans)
    padded: dict[tuple[str, int, int], npt.NDArray[np.float32]] = {}
    for (height, width, from_h, from_w), members in groups.items():
        layers = np.empty((len(members), 7, from_h, from_w), np.float32)
        grid = np.full((len(members), height, width, 2), 2, np.float32)
        for row, index in enumerate(members):
            key = donors[index].donor_id, from_h, from_w
            if key not in padded:
                padded[key] = pad_layers(donors[index], from_h, from_w)
            layers[row] = padded[key]
            x, y = places[index]
            crop_h, crop_w = donors[index].mask.shape
            grid[row, : x.shape[0], : x.shape[1], 0] = (2 * np.clip(x, 0, crop_w - 1) + 1) / from_w - 1
            grid[row, : x.shape[0], : x.shape[1], 1] = (2 * np.clip(y, 0, crop_h - 1) + 1) / from_h - 1
        sampled = grid_sample(torch.from_numpy(layers).to(device), torch.from_numpy(grid).to(device), mode="bicubic",
                              padding_mode="border", align_corners=False).cpu().numpy()  # fmt: skip
        for row, index in enumerate(members):
            x, y = places[index]
            out[index] = unpack(sampled[row, :, : x.shape[0], : x.shape[1]], x, y, donors[index])
    return [one for one in out if one is not None]


def pad_layers(donor: Donor, height: int, width: int) -> npt.NDArray[np.float32]:
    """Residual, ground and mask as (7, height, width), the crop's last rows and columns repeated."""
    own_h, own_w = donor.mask.shape
    layers = np.empty((7, height, width), np.float32)
    layers[:3, :own_h, :own_w] = donor.residual.transpose(2, 0, 1)
    layers[3:6, :own_h, :own_w] = donor.background.transpose(2, 0, 1)
    layers[6, :own_h, :own_w] = donor.mask
    layers[:, own_h:, :own_w] = layers[:, own_h - 1 : own_h, :own_w]
    layers[:, :, own_w:] = layers[:, :, own_w - 1 : own_w]
    return layers


def unpack(sampled: npt.NDArray[np.float32], x: Coordinates, y: Coordinates, donor: Donor) -> Warped:
    mask = (sampled[6] > 0.5) & inside_crop(x, y, donor)
    layers = sampled.transpose(1, 2, 0)
    return Warped(np.ascontiguousarray(layers[:, :, :3]), np.ascontiguousarray(layers[:, :, 3:6]), mask)


def inside_crop(x: Coordinates, y: Coordinates, donor: Donor) -> Mask:
    """Where a patch's pixel comes from within the crop; a deformation may overshoot where the image's edge was."""
    height, width = donor.mask.shape
    top, bottom, left, right = (MOST_PX + 0.5 if end else 0.5 for end in donor.at_edge)
    return np.asarray((x > -left) & (x < width - 1 + right) & (y > -top) & (y < height - 1 + bottom))


def warp_mask(plan: Plan, donor: Donor) -> Mask:
    """The defect's footprint alone, (h, w), cheaply: what placement asks."""
    x, y = source_coordinates(plan, donor)
    height, width = donor.mask.shape
    sampled = cv2.remap(
        donor.mask.astype(np.float32), np.clip(x, 0, width - 1), np.clip(y, 0, height - 1), cv2.INTER_LINEAR
    )
    return np.asarray((sampled > 0.5) & inside_crop(x, y, donor))
