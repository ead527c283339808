"""A dent: the surface is pushed in, and only light, shadow and a gleam tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from synth.ground import add, draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_field
from synth.paths import fit, short_side
from synth.recipes.ranges import Range, draw_seed, share, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import blur, draw_outline, inside_px, reach, shade, smoothstep


@recipe("dent")
@dataclass(frozen=True)
class Dent:
    """A smooth hollow (or bump). Sizes are shares of the image's short side."""

    name: str
    radius: Range = span(0.005, 0.5, "radius as a share of the image's short side")
    elongation: Range = span(1, 6, "long axis / short axis")
    wobble: Range = span(0, 1, "how uneven the outline is")
    wall: Range = span(0.1, 1, "width of its wall as a share of the radius: 1 a bowl, .2 a stamp")
    depth: Range = span(0, 1, "contrast of the lit and shaded walls as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    shine: Range = span(0, 3, "strength of the gleam: 0 matt, 1 polished")
    drag: Range = span(0, 0.5, "how far the surface's texture is drawn inwards, as a share of the radius")
    raised: float = share("how often it is a bump instead")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw outline, wall and light."""
        radius = max(3.0, rng.uniform(*self.radius) * short_side(size))
        outline = draw_outline(rng, radius, rng.uniform(*self.elongation), rng.uniform(*self.wobble))
        margin = min(reach(outline) + 0.4 * radius + 6, min(size) / 2 - 2)
        _, patch = fit([np.zeros((1, 2))], margin=margin, limit=size)
        return {
            "size": patch,
            "outline": outline,
            "wall": float(rng.uniform(*self.wall)),
            "contrast": abs(draw_contrast(rng, measure(ground), self.depth, self.over_grain, bright=0.0)),
            "shine": float(rng.uniform(*self.shine)),
            "drag": float(rng.uniform(*self.drag)),
            "up": 1 if rng.random() < self.raised else -1,
            "light_rad": float(rng.uniform(*self.light_rad)),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Shade a height field and draw the texture with it."""
        shape = (ground.shape[0], ground.shape[1])
        outline, contrast = numbers["outline"], numbers["contrast"]
        radius = outline["radius_px"]
        inside = inside_px(shape, ((shape[0] - 1) / 2, (shape[1] - 1) / 2), outline, rough_px=0)
        inside += np.float32(0.06 * radius) * noise_field(numbers["seed"], shape, zoom=max(0.4, radius / 20))
        wall = max(2.0, numbers["wall"] * radius)
        height = smoothstep(inside, -0.35 * wall, 0.65 * wall) * np.float32(numbers["up"] * 0.5 * wall)
        height = blur(height, 0.12 * wall)
        lit = shade(height, numbers["light_rad"], shine=numbers["shine"])
        lit *= np.float32(contrast / max(float(np.quantile(np.abs(lit), 0.98)), 1e-6))
        lit = np.clip(lit, -1.3 * contrast, 1.8 * contrast)
        moved = _drag(ground, height, numbers["drag"] * radius)
        return to_patch(ground, add(moved, lit, mean_level(ground)), contrast)


def _drag(ground: Levels, height: np.ndarray, by_px: float) -> Levels:
    """Return the surface with its texture moved along the slope, ``by_px`` where it is steepest."""
    if by_px < 0.2:
        return ground
    slope_y, slope_x = cv2.Sobel(height, cv2.CV_32F, 0, 1), cv2.Sobel(height, cv2.CV_32F, 1, 0)
    scale = np.float32(by_px / max(float(np.abs(slope_y).max()), float(np.abs(slope_x).max()), 1e-6))
    y, x = np.indices(height.shape, np.float32)
    moved = cv2.remap(ground, x + slope_x * scale, y + slope_y * scale, cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REFLECT_101)  # fmt: skip
    return np.asarray(moved, np.float32)
