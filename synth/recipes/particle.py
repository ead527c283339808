"""A particle: chip, dust or crumb that lies on the surface and throws a shadow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.ground import draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_field
from synth.paths import fit, short_side
from synth.recipes.ranges import Counts, Range, count, draw_count, draw_seed, share, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import blur, draw_outline, inside_px, reach, shade, smoothstep, window_around


@recipe("particle")
@dataclass(frozen=True)
class Particle:
    """Grains of foreign matter: they hide the surface's texture. Sizes are shares of the image's short side."""

    name: str
    grains: Counts = count(1, 40, "particles")
    radius: Range = span(0.001, 0.2, "radius of the largest as a share of the image's short side")
    elongation: Range = span(1, 5, "long axis / short axis")
    wobble: Range = span(0, 1, "how angular it is")
    spread: Range = span(1, 40, "deviation of places from the centre, in radii of the largest")
    depth: Range = span(0, 1, "contrast to the surface as a share of its level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    relief: Range = span(0, 2, "how strongly its sides take light and shadow, as a share of the contrast")
    shadow: Range = span(0, 1, "darkness of the shadow it throws, as a share of the surface's level")
    height: Range = span(0, 3, "how far the shadow reaches, in radii")
    bright: float = share("how often it is brighter than the surface")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw place and outline of every grain, in pixels of the patch."""
        largest = max(1.3, rng.uniform(*self.radius) * short_side(size))
        n = draw_count(rng, self.grains)
        radii = largest * np.append(1.0, rng.uniform(0.15, 0.8, n - 1))
        outlines = [draw_outline(rng, max(r, 0.9), rng.uniform(*self.elongation), rng.uniform(*self.wobble))
                    for r in radii]  # fmt: skip
        places = rng.normal(0, 1, (n, 2)) * rng.uniform(*self.spread) * largest * (n > 1)
        height = rng.uniform(*self.height)
        margin = max(map(reach, outlines)) + height * largest + 7
        (fitted,), patch = fit([places], margin=min(margin, min(size) / 2 - 2), limit=size)
        return {
            "size": patch,
            "centres": fitted.tolist(),
            "outlines": outlines,
            "contrast": draw_contrast(rng, measure(ground), self.depth, self.over_grain, self.bright),
            "relief": float(rng.uniform(*self.relief)),
            "shadow": float(rng.uniform(*self.shadow)),
            "height": float(height),
            "light_rad": float(rng.uniform(*self.light_rad)),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Draw shadows first, then opaque grains with a lit and a shaded side."""
        shape = (ground.shape[0], ground.shape[1])
        body, height = np.full(shape, -99, np.float32), np.zeros(shape, np.float32)
        cast = np.full(shape, -99, np.float32)
        away = -np.array([np.sin(numbers["light_rad"]), np.cos(numbers["light_rad"])]) * numbers["height"]
        for (y, x), outline in zip(numbers["centres"], numbers["outlines"], strict=True):
            radius = outline["radius_px"]
            window = window_around(shape, (y, x), reach(outline) + radius * numbers["height"] + 4)
            local = body[window].shape
            y, x = y - window[0].start, x - window[1].start
            inside = inside_px((local[0], local[1]), (y, x), outline, rough_px=0.1 * min(radius, 5.0))
            body[window] = np.maximum(body[window], inside)
            height[window] = np.maximum(height[window], radius * smoothstep(inside, -0.5, radius))
            at = (y + away[0] * radius, x + away[1] * radius)
            cast[window] = np.maximum(cast[window], inside_px((local[0], local[1]), at, outline, rough_px=0))
        contrast, level = numbers["contrast"], mean_level(ground)
        dim = 1 - numbers["shadow"] * blur(smoothstep(cast, -1.0, 1.5), 0.8)
        covered = smoothstep(body, -0.7, 0.7)[..., None]
        sides = np.clip(shade(height, numbers["light_rad"], shine=0.4), -0.8, 1.2) * numbers["relief"]
        matter = 0.18 * noise_field(numbers["seed"], shape, grade="mottle")
        own = level + contrast + abs(contrast) * (sides + matter)
        picture = ground * dim[..., None] * (1 - covered) + own[..., None] * covered
        return to_patch(ground, np.asarray(picture, np.float32), contrast)
