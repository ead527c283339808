"""A print or ink fault: a blot with satellites, a smear, or ink that is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from synth.ground import draw_contrast, mean_level, measure, to_patch
from synth.noise import Field, noise_field
from synth.paths import fit, short_side
from synth.recipes.ranges import Range, choice, draw_seed, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import draw_outline, inside_px, reach, smoothstep


@recipe("print")
@dataclass(frozen=True)
class Printing:
    """Ink where none belongs, or none where it does. Sizes are shares of the image's short side."""

    name: str
    forms: tuple[str, ...] = choice(("blot", "smear", "void"), "which faults occur")
    radius: Range = span(0.005, 0.5, "radius as a share of the image's short side")
    elongation: Range = span(1, 6, "long axis / short axis of a blot or void")
    wobble: Range = span(0, 1, "how uneven the outline is")
    specks: Range = span(0, 1, "how speckled the edge is: dots of ink outside, of paper inside")
    smear: Range = span(1, 10, "length of a smear in radii")
    depth: Range = span(0, 1, "contrast as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw form, outline and ink."""
        form = str(rng.choice(self.forms))
        least = 7.0 if form == "smear" else 3.0  # a thinner smear would have no room for its streaks
        radius = max(least, rng.uniform(*self.radius) * short_side(size))
        stretch = rng.uniform(*(self.smear if form == "smear" else self.elongation))
        outline = draw_outline(rng, radius, stretch, rng.uniform(*self.wobble))
        margin = min(1.15 * reach(outline) + 8, min(size) / 2 - 2)
        _, patch = fit([np.zeros((1, 2))], margin=margin, limit=size)
        return {
            "size": patch,
            "form": form,
            "outline": outline,
            "specks": float(rng.uniform(*self.specks)),
            "contrast": draw_contrast(
                rng, measure(ground), self.depth, self.over_grain, 1.0 if form == "void" else 0.0
            ),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Ink multiplies and hides a part of the texture; a void shows the lighter stock below."""
        shape = (ground.shape[0], ground.shape[1])
        outline, contrast = numbers["outline"], numbers["contrast"]
        inside = inside_px(shape, ((shape[0] - 1) / 2, (shape[1] - 1) / 2), outline, rough_px=0)
        dots = noise_field(numbers["seed"], shape, grade="mottle", zoom=1.6)
        edge = np.float32(max(0.8, 0.4 * outline["radius_px"] / np.sqrt(outline["elongation"])))
        speckled = inside + np.float32(numbers["specks"]) * edge * np.clip(dots, -1.5, 1.5)
        inside = np.maximum(speckled, inside - edge)  # the core stays, however speckled the edge
        covered = smoothstep(inside, -0.8, 0.8)
        if numbers["form"] == "smear":
            covered = covered * _bristles(shape, outline["turn_rad"], numbers["seed"] + 1, inside, edge)
        level = mean_level(ground)
        uneven = 1 + 0.12 * noise_field(numbers["seed"] + 2, shape, zoom=0.6)
        gain = np.float32(1 + contrast / max(level, 16.0))
        flat = uneven[..., None] * ground.mean(axis=(0, 1))
        own = gain * (0.55 * flat + 0.45 * ground)
        picture = ground + (own - ground) * covered[..., None]
        return to_patch(ground, np.asarray(picture, np.float32), contrast)


def _bristles(shape: tuple[int, int], turn_rad: float, seed: int, inside: Field, edge_px: np.float32) -> Field:
    """Return (h, w) 0..1: streaks along the smear, dense at its middle, broken up towards its edge."""
    y, x = np.indices(shape, np.float32)
    along = x * np.float32(np.cos(turn_rad)) + y * np.float32(np.sin(turn_rad))
    across = y * np.float32(np.cos(turn_rad)) - x * np.float32(np.sin(turn_rad))
    tile = noise_field(seed, (128, 128), grade="mottle")
    streak = cv2.remap(tile, along / 12 + 64, across / 1.5 + 64, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return smoothstep(streak + np.clip(inside / edge_px, 0, 2) - np.float32(0.6), -0.4, 0.6)
