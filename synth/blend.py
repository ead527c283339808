"""Put patches into their hosts, each mode in its own few lines; nothing changes further than a feather from the mask.

gradient, gradient-mixed: the donor's steps, the host's brightness (poisson.py). residual: what the defect adds, added.
residual-scaled: the host times what the defect leaves of its background. alpha: the patch itself, its ground lifted to
the host's. gradient and alpha replace the host's texture, but only where the defect covers it (coverage.py): what a
mask holds of plain ground around a thin crack stays the host's own, and a strength of 0 changes nothing in any mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from synth.background import MARGIN_PX, grow
from synth.coverage import coverage, drop_texture, own_texture
from synth.grain import drop_grain, match_grain, measure_grain
from synth.levels import spread
from synth.poisson import Task, solve_corrections
from synth.records import BlendMode, Levels, Mask, Patch

FEATHER_PX = 4  # beyond the mask, where alpha falls from 1 to 0
RATIO = (0.4, 2.5)  # host / background brightness, at most
GROUND_PX = 9  # side of the box that takes the local brightness


@dataclass(frozen=True)
class Job:
    """patch and host: the same (h, w). grain: standard deviations of the patch's and the host's. free: host ends there.

    patch_texture: what coarser detail the donor's plain ground has (measure_texture), grey levels.

    drawn: the patch was drawn onto this very host (a recipe's), so whatever the mode it is taken as it is.
    """

    patch: Patch
    host: Levels
    mode: BlendMode
    patch_grain: float
    host_grain: float
    free: tuple[bool, bool, bool, bool]
    drawn: bool = False
    patch_texture: float = 0.0


def blend_patches(jobs: Sequence[Job], device: str = "cpu") -> list[Levels]:
    """Return each job's host with its defect, (h, w, 3) levels 0..255."""
    alphas = [feather(job.patch.mask, job.free) for job in jobs]
    changes: dict[int, Levels] = {}
    gradient = [index for index, job in enumerate(jobs) if job.mode.startswith("gradient") and not job.drawn]
    tasks = [gradient_task(jobs[index]) for index in gradient]
    for index, task, change in zip(gradient, tasks, solve_corrections(tasks, device), strict=True):
        changes[index] = anchor(change, task.mask)
    for index, job in enumerate(jobs):
        if job.drawn:
            changes[index] = job.patch.picture - job.host
        elif job.mode == "residual":
            changes[index] = own_residual(job)
        elif job.mode == "residual-scaled":
            changes[index] = shade(job)
        elif job.mode == "alpha":
            changes[index] = cover(job, alphas[index])
    return [np.clip(job.host + spread(alphas[index]) * changes[index], 0, 255) for index, job in enumerate(jobs)]


def anchor(change: Levels, mask: Mask) -> Levels:
    """Shift a correction to 0 around the mask: free edges leave its level open, grain on the rim shifts it a little."""
    ring = grow(mask, 2) & ~mask
    if np.count_nonzero(ring) < 8:
        return change
    return change - np.array(cv2.mean(change, ring.view(np.uint8))[:3], np.float32)


def feather(mask: Mask, free: tuple[bool, bool, bool, bool]) -> npt.NDArray[np.float32]:
    """1 in the mask, 0 from FEATHER_PX + 1 beyond it and at the patch's border unless the host ends there; (h, w)."""
    alpha = cv2.blur(cv2.blur(grow(mask, 2).astype(np.float32), (3, 3), borderType=cv2.BORDER_REPLICATE), (3, 3),
                     borderType=cv2.BORDER_REPLICATE)  # fmt: skip
    height, width = mask.shape
    ramp_y, ramp_x = border_ramp(height, free[0], free[1]), border_ramp(width, free[2], free[3])
    return np.asarray(alpha * ramp_y[:, None] * ramp_x[None, :], np.float32)


def unchanged_outside(blended: Levels, host: Levels, kept: Mask) -> Levels:
    """Let the change fade to nothing within two pixels of ``kept``, so that what differs and what is labelled agree."""
    share = cv2.blur(grow(kept, 1).astype(np.float32), (3, 3), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(host + spread(share) * (blended - host), np.float32)


@lru_cache(maxsize=512)
def border_ramp(length: int, free_low: bool, free_high: bool) -> npt.NDArray[np.float32]:
    at = np.arange(length, dtype=np.float32)
    ramp = np.ones(length, np.float32)
    if not free_low:
        ramp = np.minimum(ramp, at / FEATHER_PX)
    if not free_high:
        ramp = np.minimum(ramp, (length - 1 - at) / FEATHER_PX)
    return ramp


def own_residual(job: Job) -> Levels:
    """What the defect adds: its own structure where it hides the ground, else without the ground's texture."""
    residual = np.asarray(job.patch.picture - job.patch.background, np.float32)
    covered = coverage(residual, max(job.patch_texture, job.patch_grain))[:, :, None]
    bare = drop_texture(residual, job.patch_grain, job.patch_texture)
    return np.asarray(covered * drop_grain(residual, job.patch_grain) + (1 - covered) * bare, np.float32)


def shade(job: Job) -> Levels:
    """The host times what the defect leaves of its background: a dark crack takes the host's texture away as well."""
    ground = cv2.blur(job.patch.background, (GROUND_PX, GROUND_PX))
    ratio = np.clip((job.host + 1) / (ground + 1), *RATIO)
    return np.asarray(own_residual(job) * ratio, np.float32)


def gradient_task(job: Job) -> Task:
    """Only the defect's own steps enter: its ground's shading would darken or lighten the whole defect elsewhere.

    The mask is wider than the defect: a tight one erases it, one within its soft skirt shifts its brightness.
    """
    covered, change = replaced(job)
    picture = job.host + change - covered * own_texture(job.host)
    return Task(picture, job.host, grow(job.patch.mask, MARGIN_PX + 1), job.free, job.mode == "gradient-mixed")


def replaced(job: Job) -> tuple[Levels, Levels]:
    """Where the defect hides the host, (h, w, 1) 0..1, and what it adds: with its own grain there, else without."""
    ratio = np.float32(contrast_ratio(job))
    residual = ratio * (job.patch.picture - job.patch.background)
    grain, texture = float(ratio) * job.patch_grain, float(ratio) * job.patch_texture
    covered = coverage(residual, max(texture, grain))[:, :, None]
    own = match_grain(residual, grain, job.host, job.host_grain)
    return covered, np.asarray(covered * own + (1 - covered) * drop_texture(residual, grain, texture), np.float32)


def contrast_ratio(job: Job) -> float:
    """How much brighter the host is where the defect will lie than the donor's ground was."""
    patch = job.patch
    inside = (patch.mask if patch.mask.any() else np.ones_like(patch.mask)).view(np.uint8)
    host, own = (sum(cv2.mean(levels, inside)[:3]) / 3 for levels in (job.host, patch.background))
    return float(min(max((host + 1) / (own + 1), RATIO[0]), RATIO[1]))


def cover(job: Job, alpha: npt.NDArray[np.float32]) -> Levels:
    """The patch where it hides the host, lifted so that its ground has the host's brightness around the mask."""
    covered, change = replaced(job)
    ring = (alpha < 1) & (alpha > 0)
    if ring.sum() < 8:
        ring = ~job.patch.mask if not job.patch.mask.all() else np.ones_like(job.patch.mask)
    lift = np.median(job.host[ring] - job.patch.background[ring], axis=0)
    return np.asarray(change + covered * (job.patch.background + lift - job.host), np.float32)


def patch_grain(patch: Patch) -> float:
    """Grain of the patch's own ground, beyond the feather; of its background where there is no such ground."""
    return (
        measure_grain(patch.picture, ~grow(patch.mask, 3)) if not patch.mask.all() else measure_grain(patch.background)
    )
