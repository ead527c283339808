"""Real-looking defects, hosts and variants for the tests of the rules, all made in code."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from synth.gates.sight import contrast_of
from synth.recipes import load_recipes
from synth.records import Donor, Host, Image, Mask, Plan, Variant
from tests.synth.surfaces import brushed, to_image

RECIPES = load_recipes()
SIDE = 200


def host(seed: int = 0) -> Host:
    """An image that is all part, but for a strip of 20 pixels at the left; nothing labelled on it."""
    levels = np.roll(brushed(side=SIDE), (31 * seed, 17 * seed), (0, 1))
    part = np.ones((SIDE, SIDE), bool)
    part[:, :20] = False
    return Host(f"{seed:016x}", f"host{seed}.png", f"lot{seed}", "free", to_image(levels), part, np.zeros_like(part))


def draw(name: str, seed: int, on: Host, *, at: tuple[int, int] | None = None, strength: float = 1.0) -> Variant:
    """Draw a recipe onto a host, its mask where it shows."""
    rng = np.random.default_rng([seed, 77])
    ground = on.picture.astype(np.float32)
    numbers = RECIPES[name].draw(rng, (SIDE, SIDE), ground)
    h, w = numbers["size"]
    y, x = at or (int(rng.integers(0, SIDE - h + 1)), int(rng.integers(21, max(22, SIDE - w + 1))))
    x = min(x, SIDE - w)
    patch = RECIPES[name].render(np.ascontiguousarray(ground[y : y + h, x : x + w]), numbers)
    out = ground.copy()
    out[y : y + h, x : x + w] += strength * (patch.picture - patch.background)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + h, x : x + w] = patch.mask
    plan = Plan(seed, name, "recipe", name, on.host_id, (y, x), "residual", numbers=numbers)
    return made(plan, to_image(out), mask, on)


def made(plan: Plan, picture: Image, mask: Mask, on: Host, meant: Mask | None = None) -> Variant:
    change = np.abs(picture.astype(np.float32) - on.picture).mean(axis=2)
    return Variant(plan, picture, mask, mask if meant is None else meant, contrast_of(change, mask))


def donor(name: str, seed: int) -> Donor:
    """A "real" defect: one drawn by a recipe, seen as a picture only."""
    on = host(1000 + seed)
    variant = draw(name, 1000 + seed, on)
    ys, xs = np.nonzero(variant.mask)
    window = np.s_[max(0, ys.min() - 6) : ys.max() + 7, max(0, xs.min() - 6) : xs.max() + 7]
    picture, mask = variant.picture[window], variant.mask[window]
    return Donor(
        hashlib.sha256(picture.tobytes()).hexdigest()[:16], name, on.path, on.group, picture, mask,
        on.picture[window].astype(np.float32), 0.0, 1.0, (0.5, 0.5), (False,) * 4, variant.contrast,
    )  # fmt: skip


def pasted(on: Host, *, tight: bool) -> Variant:
    """A hard rectangular paste of a picture with another exposure, as a naive cut-paste makes it.

    tight: the label is only the defect within; else all that changed.
    """
    crop = draw("stain", 5, host(55), at=(60, 60))
    ys, xs = np.nonzero(crop.mask)
    source = np.s_[ys.min() - 9 : ys.max() + 10, xs.min() - 9 : xs.max() + 10]
    patch = np.clip(crop.picture[source].astype(np.int16) + 45, 0, 255).astype(np.uint8)
    h, w = patch.shape[:2]
    picture, mask = on.picture.copy(), np.zeros((SIDE, SIDE), bool)
    picture[70 : 70 + h, 70 : 70 + w] = patch
    mask[70 : 70 + h, 70 : 70 + w] = crop.mask[source] if tight else True
    return made(replace(crop.plan, host_id=on.host_id), picture, mask, on)
