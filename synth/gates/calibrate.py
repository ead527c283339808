"""Thresholds from the real defects of a class: each left out in turn and compared with the others."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from synth.gates.form import elongation
from synth.gates.limits import ENOUGH, RANGED, Bounds, Limits
from synth.gates.registry import grey_of
from synth.gates.seam import boxiness, donor_seam
from synth.gates.sight import contrast_of
from synth.gates.space import Crop, Rows, describe, distances, donor_crop, likeness_rows
from synth.records import Donor, Embedder, Host

LEAST_CONTRAST = 4.0  # grey levels: nobody sees less, so it would be a wrong label
N_JITTER = 8  # copies of each real defect that stand in for more real ones


def calibrate(donors: Sequence[Donor], hosts: Sequence[Host], embed: Embedder | None) -> Limits:
    """Take the limits from real defects of one class; without any, the defaults, all said to be uncalibrated.

    From ``ENOUGH`` on: their 5..95 %, widened the more the fewer they are; below: their ends widened up to threefold,
    and listed as uncalibrated. hosts: whose part masks tell how much of a defect must lie on the part.
    """
    if not donors:
        return Limits()
    n = len(donors)
    area = spread([float(donor.mask.sum()) for donor in donors], few=3.0)
    aspect = spread([elongation(donor.mask) for donor in donors], few=2.5)
    contrast = spread([_contrast(donor) for donor in donors], few=2.0)
    seams = [donor_seam(donor) for donor in donors]
    rows = describe(crops := [donor_crop(donor) for donor in donors], embed)
    groups = [donor.group for donor in donors]
    few = RANGED if n < ENOUGH else RANGED[-2:] if len(set(groups)) < 2 else ()
    return Limits(
        on_part=0.98 if all(host.part.any() for host in hosts) else 0.0,
        area=(max(4.0, area[0] or 0.0), area[1]),
        aspect=(max(1.0, aspect[0] or 1.0), max(aspect[1] or 1.0, 1.5)),
        contrast=(max(LEAST_CONTRAST, contrast[0] or 0.0), contrast[1]),
        seam=(None, max(0.12, max(seams) * (1.6 if n < ENOUGH else 1.35))),
        boxy=min(0.99, max(0.92, max(boxiness(donor.mask) for donor in donors) + 0.03)),
        near=_near_limit(likeness_rows(crops, rows, embed), groups),
        realism=(None, _realism_limit(rows, crops, groups, embed)),
        n_real=n,
        uncalibrated=few,
    )


def spread(values: Sequence[float], *, few: float) -> Bounds:
    """Return (low, high): of ``ENOUGH`` values or more the 5..95 % by a factor 1 + 2.5 / sqrt(n), else the ends by few.

    The ends of n values miss the ends of what they come from; on magnetic tiles this factor lets held-out ones pass.
    """
    if len(values) < ENOUGH:
        return min(values) / few, max(values) * few
    low, high = np.quantile(values, [0.05, 0.95])
    factor = 1 + 2.5 / float(np.sqrt(len(values)))
    return float(low) / factor, float(high) * factor


def leave_one_out(between: Rows, groups: Sequence[str]) -> Rows:
    """Return each one's distance to the nearest of another group (n,); empty with one group only."""
    other = np.asarray(groups)[:, None] != np.asarray(groups)[None, :]
    if not other.any():
        return np.zeros(0, np.float32)
    return np.asarray(np.where(other, between, np.inf).min(axis=1), np.float32)


def jitter(crop: Crop) -> list[Crop]:
    """Return ``N_JITTER`` copies: turned, mirrored, a little scaled, brightened. The same each time."""
    copies = []
    for i in range(N_JITTER):
        picture, mask = np.rot90(crop.picture, i % 4), np.rot90(crop.mask, i % 4)
        if i >= 4:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        scale = (0.85, 1.0, 1.15, 1.3)[i % 4]
        size = (max(8, round(mask.shape[1] * scale)), max(8, round(mask.shape[0] * scale)))
        larger = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_LINEAR)
        cover = cv2.resize(np.ascontiguousarray(mask).view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        lit = cv2.convertScaleAbs(larger, alpha=(0.9, 1.1)[i % 2], beta=(6, -6)[i % 2])
        if cover.any():
            copies.append(Crop(np.asarray(lit, np.uint8), cover.astype(bool), crop.group))
    return copies


def _contrast(donor: Donor) -> float:
    return contrast_of(grey_of(np.abs(donor.residual)), donor.mask)


def _near_limit(rows: Rows, groups: Sequence[str]) -> float:
    """Return the cosine above which two are the same: three quarters of the way from the nearest real pair to 1."""
    nearest = leave_one_out(1 - rows @ rows.T, groups)
    return float(np.clip(1 - nearest.min() / 4, 0.985, 0.998)) if nearest.size else 0.985


def _realism_limit(rows: Rows, crops: Sequence[Crop], groups: Sequence[str], embed: Embedder | None) -> float:
    """Return the distance to the nearest real one that real ones have among themselves; few: with jittered copies."""
    apart = leave_one_out(distances(rows, rows), groups)
    if len(crops) >= ENOUGH and apart.size:
        return float(np.quantile(apart, 0.95)) * 1.3
    copies = describe([copy for crop in crops for copy in jitter(crop)], embed)
    moved = distances(copies, rows).min(axis=1)
    return 1.5 * max(float(moved.max()), float(apart.max()) if apart.size else 0.0)
