"""Blocks of plans: every mode, borders, sizes, repeats, and nothing changed outside of the mask."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from synth.background import grow
from synth.bank import RIM_PX
from synth.blend import FEATHER_PX
from synth.errors import SynthError
from synth.look import draw_look
from synth.records import BLEND_MODES, BlendMode, Donor, Image, Levels, Patch, Plan, Variant
from synth.render import patch_size, place_patch, render_block, render_each, span_host, trim
from synth.seeds import proposal_rng
from tests.synth.made import blob, donor_of, host_of, overlap, plan_of, stained, streak, surface

SHAPE = (160, 200)


def donor(kind: str = "pit", *, colour: bool = False, change: float = -60) -> Donor:
    masks = {
        "pit": blob(SHAPE, (60, 80), (10, 14)),
        "crack": streak(SHAPE, (30, 40), (110, 130)),
        "edge": blob(SHAPE, (0, 80), (20, 20)),
        "large": blob(SHAPE, (80, 100), (60, 80)),
    }
    return donor_of(stained(surface(SHAPE, colour=colour), masks[kind], change), masks[kind])


def render(
    plans: list[Plan], donors: list[Donor], *, level: float = 150, colour: bool = False, grain: float = 2
) -> list[Variant]:
    host = host_of(surface(SHAPE, level=level, seed=9, colour=colour, grain=grain))
    return render_block(plans, {one.donor_id: one for one in donors}, {"h": host}, {})


@pytest.mark.parametrize("blend", BLEND_MODES)
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("change", [-60, 40])
def test_every_mode_shows_the_defect_where_meant(blend: BlendMode, colour: bool, change: float) -> None:
    source = donor(colour=colour, change=change)
    (variant,) = render([plan_of(source, blend=blend)], [source], colour=colour)
    host = surface(SHAPE, seed=9, colour=colour)
    assert overlap(variant.mask, variant.meant) > 0.75
    inside = variant.picture[variant.meant].astype(float) - host[variant.meant]
    assert inside.mean() == pytest.approx(source.residual[source.mask].mean(), rel=0.12)
    assert variant.contrast == pytest.approx(abs(inside.mean()), rel=0.15)
    if not colour:
        assert np.ptp(variant.picture, axis=2).max() == 0  # grey stays grey


@pytest.mark.parametrize("blend", BLEND_MODES)
def test_nothing_changes_further_than_the_feather(blend: BlendMode) -> None:
    source = donor("crack")
    (variant,) = render([plan_of(source, blend=blend)], [source])
    changed = (variant.picture != surface(SHAPE, seed=9)).any(2)
    assert not (changed & ~grow(variant.meant, FEATHER_PX)).any()
    assert not (variant.mask & ~grow(variant.meant, FEATHER_PX)).any()
    off = np.abs(variant.picture.astype(float) - surface(SHAPE, seed=9)).max(2)
    assert off[variant.mask].mean() > 10 * off[~variant.mask & grow(variant.meant, FEATHER_PX)].mean() / 3


def test_round_trip_onto_its_own_ground() -> None:
    mask = blob(SHAPE, (60, 80), (10, 14))
    source = donor_of(stained(surface(SHAPE, grain=0.5), mask, -60), mask)
    ground = np.clip(np.rint(source.background), 0, 255).astype(np.uint8)
    host = host_of(ground)
    plans = [plan_of(source, number=n, at=(0, 0), blend=mode) for n, mode in enumerate(BLEND_MODES)]
    for variant in render_block(plans, {source.donor_id: source}, {"h": host}, {}):
        off = np.abs(variant.picture.astype(float) - source.picture)
        assert off.mean() < 0.5
        assert off[source.mask].max() <= 2
        assert off.max() <= 4  # the skirt that the label leaves out fades


def test_scaled_contrast_follows_the_hosts_brightness() -> None:
    source = donor()
    plans = [
        plan_of(source, number=n, blend=mode) for n, mode in enumerate(("residual", "residual-scaled", "gradient"))
    ]
    added, scaled, gradient = (variant.contrast for variant in render(plans, [source], level=75))
    assert added == pytest.approx(58, abs=4)
    assert scaled == pytest.approx(29, abs=3)
    assert gradient == pytest.approx(29, abs=4)


def test_strength_scales_contrast_and_an_invisible_defect_has_no_label() -> None:
    source = donor()
    plans = [plan_of(source, number=n, blend="residual", strength=s) for n, s in enumerate((1.0, 0.5, 0.01))]
    full, half, none = render(plans, [source])
    assert half.contrast == pytest.approx(full.contrast / 2, rel=0.1)
    assert not none.mask.any()
    assert none.contrast == 0
    assert none.meant.any()


@pytest.mark.parametrize("blend", BLEND_MODES)
@pytest.mark.parametrize(
    ("at", "inside"), [((0, 30), True), ((-15, 30), False), ((60, 180), False), ((150, -8), False)]
)
def test_borders(blend: BlendMode, at: tuple[int, int], inside: bool) -> None:
    source = donor("edge") if inside else donor()
    (variant,) = render([plan_of(source, at=at, blend=blend)], [source])
    assert variant.mask.any()
    assert np.isfinite(variant.contrast)
    if inside:  # the defect runs into the image's edge without fading
        top = variant.picture[0].astype(float) - surface(SHAPE, seed=9)[0]
        assert top[variant.meant[0]].mean() < -45


def test_an_edge_donor_in_the_middle_fades_instead_of_ending_in_a_step() -> None:
    source = donor("edge")
    (variant,) = render([plan_of(source, at=(60, 60), blend="residual")], [source])
    change = np.abs(variant.picture.astype(float) - surface(SHAPE, seed=9)).max(2)
    assert change[60].max() <= 1


def test_a_defect_across_the_whole_image_spans_a_larger_host() -> None:
    mask = streak(SHAPE, (0, 90), (159, 110))
    source = donor_of(stained(surface(SHAPE), mask, -60), mask, "crack")
    host = host_of(surface((240, 200), seed=9))
    plan = span_host(plan_of(source, at=(0, 60)), source, (240, 200))
    (variant,) = render_block([plan], {source.donor_id: source}, {"h": host}, {})
    assert variant.mask[0].any()
    assert variant.mask[-1].any()
    pit = donor()
    assert span_host(plan_of(pit), pit, (240, 200)) == plan_of(pit)


def block(n: int = 32) -> tuple[list[Plan], list[Donor]]:
    donors = [donor("pit"), donor("crack"), donor("edge"), donor("large")]
    plans = []
    for number in range(n):
        source, mode = donors[number % 4], BLEND_MODES[number % 5]
        look = draw_look(proposal_rng(3, number), source, mode=mode)
        plan = plan_of(source, number=number, blend=mode, **look)
        height, width = patch_size(plan, source)
        at = (0 if source.at_edge[0] else max(0, (SHAPE[0] - height) // 2), max(0, (SHAPE[1] - width) // 2))
        plans.append(replace(plan, top_left=at))
    return plans, donors


def test_a_block_repeats_to_the_byte_whatever_the_threads() -> None:
    plans, donors = block()
    first = render(plans, donors)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    second = render(plans, donors)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    for one, two in zip(first, second, strict=True):
        assert one.picture.tobytes() == two.picture.tobytes()
        assert one.mask.tobytes() == two.mask.tobytes()
        assert one.contrast == two.contrast
    assert all(variant.mask.any() for variant in first)
    assert len({variant.picture.tobytes() for variant in first}) == 32


def apart(picture: Image, offset: int) -> Image:
    """The same picture where no vector instruction likes it, rows apart."""
    height, width = picture.shape[:2]
    wide = np.zeros((height, (width + 7) * 3 + offset), np.uint8)
    out = wide[:, offset : offset + width * 3].reshape(height, width, 3)
    out[:] = picture
    assert np.shares_memory(out, wide)
    return out


@pytest.mark.parametrize("offset", [1, 3, 8])
def test_where_pictures_lie_in_memory_changes_no_byte(offset: int) -> None:
    plans, donors = block()
    picture = surface(SHAPE, seed=9)
    moved = [replace(one, picture=apart(one.picture, offset)) for one in donors]
    first, second = (
        render_block(plans, {one.donor_id: one for one in those}, {"h": host_of(ground)}, {})
        for those, ground in ((donors, picture), (moved, apart(picture, offset)))
    )
    assert [one.picture.tobytes() for one in first] == [one.picture.tobytes() for one in second]
    assert [one.mask.tobytes() for one in first] == [one.mask.tobytes() for one in second]


def test_a_place_in_the_block_changes_no_byte() -> None:
    plans, donors = block()
    order = np.random.default_rng(4).permutation(len(plans)).tolist()
    first, second = render(plans, donors), render([plans[n] for n in order], donors)
    assert [first[n].picture.tobytes() for n in order] == [one.picture.tobytes() for one in second]


class Square:
    """A recipe that draws a dark square of 10 px: the smallest thing that keeps the contract."""

    name = "square"

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:  # noqa: ARG002
        return {"size": list(size)}

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:  # noqa: ARG002
        mask = np.zeros(ground.shape[:2], bool)
        mask[5:15, 5:15] = True
        return Patch(np.where(mask[:, :, None], ground - 50, ground).astype(np.float32), ground, mask)


@pytest.mark.parametrize("blend", BLEND_MODES)
@pytest.mark.parametrize(("at", "area"), [((40, 40), 100), ((-10, 40), 50), ((145, 185), 100)])
def test_recipes_are_taken_as_drawn(blend: BlendMode, at: tuple[int, int], area: int) -> None:
    plan = Plan(0, "pit", "recipe", "square", "h", at, blend, numbers={"size": [20, 20]})
    (variant,) = render_block([plan], {}, {"h": host_of(surface(SHAPE))}, {"square": Square()})
    assert variant.meant.sum() == area
    change = variant.picture.astype(float) - surface(SHAPE)
    assert np.abs(change[variant.meant] + 50).max() <= 1
    assert overlap(variant.mask, variant.meant) > 0.7


def test_what_is_missing_is_said() -> None:
    source = donor()
    with pytest.raises(SynthError, match="proposal 0: no such donor"):
        render([plan_of(source)], [])
    with pytest.raises(SynthError, match="proposal 0: the patch misses its host"):
        render([plan_of(source, at=(400, 0))], [source])
    with pytest.raises(SynthError, match="needs its patch's size"):
        patch_size(Plan(0, "pit", "recipe", "square", "h", (0, 0), "alpha"), Square())


def test_a_patch_is_trimmed_to_the_mask_and_its_rim() -> None:
    mask = np.zeros((60, 90), bool)
    mask[5:12, 40:50] = True
    place = place_patch(plan_of(donor(), at=(0, 100)), mask.shape, host_of(surface(SHAPE)))
    trimmed = trim(place, mask)
    assert trimmed.cut == (slice(0, 12 + RIM_PX), slice(40 - RIM_PX, 50 + RIM_PX))
    assert trimmed.at == (slice(0, 12 + RIM_PX), slice(140 - RIM_PX, 150 + RIM_PX))
    assert trimmed.free == (True, False, False, False)  # only at the top the host ends there
    assert trim(place, np.zeros_like(mask)) == place
    lower = place_patch(
        plan_of(donor(), at=(-3, 130)), mask.shape, host_of(surface(SHAPE))
    )  # beyond top and right side
    assert trim(lower, mask).cut == (slice(3, 12 + RIM_PX), slice(40 - RIM_PX, 50 + RIM_PX))
    assert trim(lower, mask).at == (slice(0, 9 + RIM_PX), slice(170 - RIM_PX, 180 + RIM_PX))


def test_variants_are_handed_out_one_by_one() -> None:
    """32 copies of a large host at once would fill the memory."""
    plans, donors = block(12)
    known, large = {one.donor_id: one for one in donors}, {"h": host_of(surface((1500, 1500)))}
    one_copy = 1500 * 1500 * 5  # picture and two masks
    tracemalloc.start()
    shown = sum(variant.mask.any() for variant in render_each(plans, known, large, {}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shown == 12
    assert most < 4 * one_copy
