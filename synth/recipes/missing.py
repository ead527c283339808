"""Missing material: a piece broken or flaked off, an angular hollow with a rough floor and a sharp step."""

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
from synth.shapes import shade, smoothstep


@recipe("missing")
@dataclass(frozen=True)
class Missing:
    """A chip with few corners. Sizes are shares of the image's short side."""

    name: str
    radius: Range = span(0.005, 0.5, "radius as a share of the image's short side")
    corners: Counts = count(3, 20, "corners of the broken piece")
    uneven: Range = span(0, 0.9, "how much the corners' distance from the centre varies")
    rough: Range = span(0, 1, "how ragged its edges are, as a share of the radius")
    depth: Range = span(0, 1, "contrast of the floor as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    floor: Range = span(0, 2, "roughness of the broken floor, as a share of the contrast")
    step: Range = span(0, 3, "light and shadow of the step at its edge, as a share of the contrast")
    bright: float = share("how often the floor is brighter than the surface")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw the corners, in pixels of the patch."""
        radius = max(3.0, rng.uniform(*self.radius) * short_side(size))
        n = draw_count(rng, self.corners)
        angles = (np.arange(n) + rng.uniform(-0.35, 0.35, n)) * 2 * np.pi / n
        distance = radius * (1 + rng.uniform(*self.uneven) * rng.uniform(-1, 0.7, n))
        turn, stretch = rng.uniform(-np.pi, np.pi), rng.uniform(0.6, 1.0)
        corners = np.stack([np.sin(angles) * stretch, np.cos(angles)], axis=1) * distance[:, None]
        turned = corners @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        (fitted,), patch = fit([turned], margin=9 + 0.15 * radius, limit=size)
        return {
            "size": patch,
            "corners": fitted.tolist(),
            "radius_px": float(radius),
            "rough": float(rng.uniform(*self.rough)),
            "contrast": draw_contrast(rng, measure(ground), self.depth, self.over_grain, self.bright),
            "floor": float(rng.uniform(*self.floor)),
            "step": float(rng.uniform(*self.step)),
            "light_rad": float(rng.uniform(*self.light_rad)),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Lower a rough floor into the surface and shade floor and step."""
        shape = (ground.shape[0], ground.shape[1])
        radius, contrast, seed = numbers["radius_px"], numbers["contrast"], numbers["seed"]
        inside = polygon_inside_px(shape, np.asarray(numbers["corners"], np.float32))
        ragged = numbers["rough"] * min(radius, 16.0)
        inside += np.float32(0.5 * ragged) * noise_field(seed, shape, grade="mottle", zoom=max(1.4, radius / 20))
        covered = smoothstep(inside, -0.9, 0.9)
        rocky = noise_field(seed + 1, shape, zoom=max(0.3, radius / 60))
        rocky = rocky + 0.5 * noise_field(seed + 2, shape, grade="mottle")
        drop = max(1.5, 0.12 * radius)
        height = -drop * smoothstep(inside, -0.6, 1.4 + 0.1 * radius)
        edge = np.clip(shade(height, numbers["light_rad"]), -0.9, 0.9) * numbers["step"]
        facets = np.clip(shade(rocky * np.float32(1.5), numbers["light_rad"]), -0.9, 0.9) * numbers["floor"]
        level = mean_level(ground)
        floor = (contrast * (1 + 0.12 * rocky) + abs(contrast) * facets) / np.float32(max(level, 16.0))
        own = np.maximum(1 + floor, 0.02)[..., None] * (0.75 * ground.mean(axis=(0, 1)) + 0.25 * ground)
        picture = ground * (1 - covered[..., None]) + own * covered[..., None]
        picture = picture + (abs(contrast) * edge)[..., None]
        return to_patch(ground, np.asarray(picture, np.float32), contrast)


def polygon_inside_px(shape: tuple[int, int], corners: np.ndarray) -> np.ndarray:
    """Return (h, w): pixels inside a polygon (n, 2 as y, x); negative = outside."""
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    x = np.arange(shape[1], dtype=np.float32)[None, :]
    nearest = np.full(shape, np.inf, np.float32)
    odd = np.zeros(shape, bool)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        dy, dx = y1 - y0, x1 - x0
        t = np.clip(((y - y0) * dy + (x - x0) * dx) / max(dy * dy + dx * dx, 1e-6), 0, 1)
        nearest = np.minimum(nearest, (y - y0 - t * dy) ** 2 + (x - x0 - t * dx) ** 2)
        if dy != 0:
            odd ^= ((y0 > y) != (y1 > y)) & (x < dx * (y - y0) / dy + x0)
    return np.asarray(np.where(odd, 1, -1) * np.sqrt(nearest), np.float32)
