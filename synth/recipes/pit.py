"""A pit, or a cluster of them: small holes, dark inside, with a lit and a shaded wall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.ground import add, draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_field
from synth.paths import fit, short_side
from synth.recipes.ranges import Counts, Range, count, draw_count, draw_seed, share, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import draw_outline, inside_px, reach, shade, smoothstep, window_around


@recipe("pit")
@dataclass(frozen=True)
class Pit:
    """Holes with an uneven outline. Sizes are shares of the image's short side."""

    name: str
    pits: Counts = count(1, 60, "holes")
    radius: Range = span(0.001, 0.3, "radius of the largest as a share of the image's short side")
    least: float = share("smallest radius of a hole in a cluster, as a share of the largest")
    elongation: Range = span(1, 5, "long axis / short axis")
    wobble: Range = span(0, 1, "how uneven the outline is")
    rough: Range = span(0, 1, "how ragged the edge is, as a share of the radius")
    spread: Range = span(1, 30, "deviation of a cluster's places from its centre, in radii of the largest")
    depth: Range = span(0, 1, "contrast as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    relief: Range = span(0, 3, "how strongly its walls take light and shadow")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw place and outline of every hole, in pixels of the patch."""
        largest = max(1.2, rng.uniform(*self.radius) * short_side(size))
        n = draw_count(rng, self.pits)
        radii = largest * np.append(1.0, rng.uniform(self.least, 1.0, n - 1) ** 1.5)
        outlines = [draw_outline(rng, max(r, 0.9), rng.uniform(*self.elongation), rng.uniform(*self.wobble))
                    for r in radii]  # fmt: skip
        axes = rng.uniform(0.5, 1.0, 2)
        places = rng.normal(0, 1, (n, 2)) * rng.uniform(*self.spread) * largest * axes * (n > 1)
        (fitted,), patch = fit([places], margin=max(map(reach, outlines)) + 7, limit=size)
        return {
            "size": patch,
            "centres": fitted.tolist(),
            "outlines": outlines,
            "rough": float(rng.uniform(*self.rough)),
            "contrast": draw_contrast(rng, measure(ground), self.depth, self.over_grain, bright=0.0),
            "relief": float(rng.uniform(*self.relief)),
            "light_rad": float(rng.uniform(*self.light_rad)),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Darken the holes by their depth and shade their walls."""
        shape = (ground.shape[0], ground.shape[1])
        dark, height = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for (y, x), outline in zip(numbers["centres"], numbers["outlines"], strict=True):
            radius = outline["radius_px"]
            window = window_around(shape, (y, x), reach(outline) + 4)
            local = dark[window].shape
            at = (y - window[0].start, x - window[1].start)
            inside = inside_px((local[0], local[1]), at, outline, rough_px=numbers["rough"] * min(radius, 6.0))
            wall = max(1.0, 0.5 * radius)
            covered = smoothstep(inside, -0.8, 0.8) * (0.7 + 0.3 * smoothstep(inside, 0, wall))
            dark[window] = np.maximum(dark[window], covered * min(1.0, 0.5 + radius / 4))
            height[window] = np.minimum(height[window], -1.5 * wall * smoothstep(inside, -1.4, wall))
        contrast = numbers["contrast"]
        walls = np.clip(shade(height, numbers["light_rad"]), -0.8, 0.8) * numbers["relief"]
        fine = 1 + 0.12 * noise_field(numbers["seed"], shape, grade="mottle", zoom=1.5)
        change = contrast * dark * fine + abs(contrast) * np.where(walls > 0, 0.9, 0.5) * walls
        return to_patch(ground, add(ground, np.asarray(change, np.float32), mean_level(ground)), contrast)
