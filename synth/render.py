"""A block of plans to variants: warp, vary, blend, and the label from the result. Nothing is drawn here.

The bits depend on the block alone: patches are padded to fixed sizes and the arithmetic runs on one thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import torch

from synth.background import grow
from synth.bank import RIM_PX
from synth.blend import Job, blend_patches, patch_grain, unchanged_outside
from synth.coverage import measure_texture
from synth.errors import SynthError
from synth.grain import measure_grain
from synth.levels import grey, middle
from synth.memory import keep_memory
from synth.photometric import vary
from synth.records import Donor, Host, Image, Levels, Mask, Patch, Plan, Recipe, Variant
from synth.sharpness import fine_detail, restore_detail
from synth.visibility import visible_mask
from synth.warp import Warped, donor_patch_size, warp_donors, warp_mask

Known = TypeVar("Known")
BLOCK = 32  # consecutive proposal numbers that are rendered together


@dataclass(frozen=True)
class Place:
    """The part of a patch that lies on its host. cut: of the patch. at: of the host. free: the host ends there."""

    cut: tuple[slice, slice]
    at: tuple[slice, slice]
    free: tuple[bool, bool, bool, bool]


@dataclass(frozen=True)
class Ground:
    """Of a donor, grey levels: its ground's grain and coarser texture, and the fine detail of its defect."""

    grain: float = 0.0
    texture: float = 0.0
    detail: float = 0.0


def patch_size(plan: Plan, source: Donor | Recipe) -> tuple[int, int]:
    """Return (h, w) of what the plan will draw, px. A recipe's is the ``size`` in the plan's numbers."""
    if isinstance(source, Donor):
        return donor_patch_size(plan, source)
    if "size" not in plan.numbers:
        raise SynthError("a plan of a recipe needs its patch's size", where=f"proposal {plan.number}",
                         found=", ".join(plan.numbers), expected="numbers.size: [height, width]")  # fmt: skip
    return int(plan.numbers["size"][0]), int(plan.numbers["size"][1])


def span_host(plan: Plan, donor: Donor, shape: tuple[int, int]) -> Plan:
    """Return the plan with its patch as long as the host (h, w), on the axes on which the donor spanned its own image.

    A defect from edge to edge would end in mid-air on a larger host. Any other plan is returned as it is.
    """
    top, bottom, left, right = donor.at_edge
    size = patch_size(plan, donor)
    fit = [shape[0] if top and bottom else size[0], shape[1] if left and right else size[1]]
    return replace(plan, numbers={**plan.numbers, "fit": fit}) if tuple(fit) != size else plan


def warped_mask(plan: Plan, donor: Donor) -> Mask:
    """Return the defect's footprint in its patch, (h, w), without rendering it."""
    return warp_mask(plan, donor)


def render_block(
    plans: Sequence[Plan],
    donors: Mapping[str, Donor],
    hosts: Mapping[str, Host],
    recipes: Mapping[str, Recipe],
    *,
    device: str = "cpu",
) -> list[Variant]:
    """Render one variant per plan, in order: ``render_each`` in a list."""
    return list(render_each(plans, donors, hosts, recipes, device=device))


def render_each(
    plans: Sequence[Plan],
    donors: Mapping[str, Donor],
    hosts: Mapping[str, Host],
    recipes: Mapping[str, Recipe],
    *,
    device: str = "cpu",
) -> Iterator[Variant]:
    """Render the block's patches together, then hand out variants one by one, in order of the plans.

    Who takes one, writes it and lets it go holds one host-sized picture instead of 32, and finds it in the cache. What
    cannot be seen comes back with an empty mask and contrast 0.

    Raises: SynthError where a plan names a donor, host or recipe that is not given, or misses its host altogether.
    """
    keep_memory()
    with one_thread():
        own = [plan for plan in plans if plan.source == "donor"]
        sources = [find(donors, plan.source_id, "donor", plan) for plan in own]
        warped = dict(zip((plan.number for plan in own), warp_donors(own, sources), strict=True))
        grounds = {donor.donor_id: source_ground(donor) for donor in {one.donor_id: one for one in sources}.values()}
        jobs, places = [], []
        for plan in plans:
            host = find(hosts, plan.host_id, "host", plan)
            moved = warped.get(plan.number)
            size = recipe_size(plan, recipes) if moved is None else moved.mask.shape
            place = place_patch(plan, size, host)
            place = place if moved is None else trim(place, moved.mask)
            places.append(place)
            jobs.append(prepare(plan, place, host, moved, grounds.get(plan.source_id, Ground()), recipes))
        blended = blend_patches(jobs, device)
        patches = [finish(job, picture) for job, picture in zip(jobs, blended, strict=True)]
    for plan, place, job, patch in zip(plans, places, jobs, patches, strict=True):
        yield paste(plan, hosts[plan.host_id], place, patch, job.patch.mask)


@contextmanager
def one_thread() -> Iterator[None]:
    """More threads would split sums otherwise and change the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find(known: Mapping[str, Known], key: str, kind: str, plan: Plan) -> Known:
    if key not in known:
        raise SynthError(
            f"no such {kind}", where=f"proposal {plan.number}", found=key, expected=f"one of {len(known)} {kind}s"
        )
    return known[key]


def recipe_size(plan: Plan, recipes: Mapping[str, Recipe]) -> tuple[int, int]:
    return patch_size(plan, find(recipes, plan.source_id, "recipe", plan))


def place_patch(plan: Plan, size: tuple[int, ...], host: Host) -> Place:
    cuts, ats, ends = [], [], []
    for start, length, whole in zip(plan.top_left, size, host.part.shape, strict=True):
        low, high = max(0, start), min(whole, start + length)
        if high - low < 3:
            whole_size = f"{host.part.shape[0]} x {host.part.shape[1]}"
            raise SynthError("the patch misses its host", where=f"proposal {plan.number}",
                             found=f"top_left {plan.top_left}", expected=f"inside {whole_size}")  # fmt: skip
        cuts.append(slice(low - start, high - start))
        ats.append(slice(low, high))
        ends += [low == 0, high == whole]
    return Place((cuts[0], cuts[1]), (ats[0], ats[1]), (ends[0], ends[1], ends[2], ends[3]))


def trim(place: Place, mask: Mask) -> Place:
    """Leave ``RIM_PX`` around the mask, as a donor has it: turning and bending make patches of mostly empty ground."""
    x, y, width, height = cv2.boundingRect(mask[place.cut].view(np.uint8))
    if not width:
        return place
    cuts, ats, ends = [], [], []
    for axis, (first, length) in enumerate(((y, height), (x, width))):
        cut, at = place.cut[axis], place.at[axis]
        low, high = max(0, first - RIM_PX), min(cut.stop - cut.start, first + length + RIM_PX)
        cuts.append(slice(cut.start + low, cut.start + high))
        ats.append(slice(at.start + low, at.start + high))
        ends += [place.free[2 * axis] and low == 0, place.free[2 * axis + 1] and cuts[axis].stop == cut.stop]
    return Place((cuts[0], cuts[1]), (ats[0], ats[1]), (ends[0], ends[1], ends[2], ends[3]))


def prepare(
    plan: Plan,
    place: Place,
    host: Host,
    warped: Warped | None,
    own: Ground,
    recipes: Mapping[str, Recipe],
) -> Job:
    ground = host.picture[place.at].astype(np.float32)
    grain = measure_grain(ground)
    if warped is None:
        patch = recipe_patch(plan, place, ground, recipes[plan.source_id])
        return Job(patch, ground, plan.blend, grain, grain, place.free, drawn=True)
    patch = donor_patch(plan, warped, place, own.detail)
    return Job(patch, ground, plan.blend, own.grain, grain, place.free, patch_texture=own.texture)


def source_ground(donor: Donor) -> Ground:
    """Measure what the donor's plain ground is like, and how fine its defect's detail is."""
    picture = donor.picture.astype(np.float32)
    grain = patch_grain(Patch(picture, donor.background, donor.mask))
    texture = measure_texture(picture, ~grow(donor.mask, 3))
    return Ground(grain, texture, fine_detail(donor.residual, donor.mask))


def donor_patch(plan: Plan, warped: Warped, place: Place, detail: float) -> Patch:
    """The warped donor, as sharp as before (a larger one has less outline in its area), in strength and colours."""
    background = warped.background[place.cut]
    residual = restore_detail(warped.residual[place.cut], warped.mask[place.cut], detail / max(1.0, plan.scale))
    picture = background + np.float32(plan.strength) * residual
    if "photometric" in plan.numbers:
        picture, background = vary(picture, background, int(plan.numbers["photometric"]))
    return Patch(picture, background, warped.mask[place.cut])


def recipe_patch(plan: Plan, place: Place, ground: Levels, recipe: Recipe) -> Patch:
    """The recipe draws onto the host's surface; beyond the host's edge that is repeated."""
    height, width = patch_size(plan, recipe)
    cut_y, cut_x = place.cut
    pad = ((cut_y.start, height - cut_y.stop), (cut_x.start, width - cut_x.stop), (0, 0))
    drawn = recipe.render(np.pad(ground, pad, mode="edge"), plan.numbers.get("recipe", plan.numbers))
    return Patch(drawn.picture[place.cut], drawn.background[place.cut], drawn.mask[place.cut])


@dataclass(frozen=True)
class Finished:
    """A blended patch, rounded. seen: (h, w) where it visibly differs from its host, by ``contrast`` levels."""

    picture: Image
    seen: Mask
    contrast: float


def finish(job: Job, blended: Levels) -> Finished:
    """Round and label: what did not visibly change is not labelled."""
    seen = visible_mask(blended, job.host, job.patch.mask, job.host_grain)
    result = np.rint(unchanged_outside(blended, job.host, seen | job.patch.mask))
    contrast = middle(grey(np.abs(result - job.host))[seen]) if seen.any() else 0.0
    return Finished(result.astype(np.uint8), seen, contrast)


def paste(plan: Plan, host: Host, place: Place, patch: Finished, meant_there: Mask) -> Variant:
    """The only step whose cost goes with the host's size."""
    picture: Image = host.picture.copy()
    meant, mask = np.zeros(host.part.shape, np.bool_), np.zeros(host.part.shape, np.bool_)
    picture[place.at], mask[place.at], meant[place.at] = patch.picture, patch.seen, meant_there
    return Variant(plan, picture, mask, meant, patch.contrast)
