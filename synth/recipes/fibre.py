"""A fibre: lint or hair that lies curled on the surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.ground import draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_line
from synth.paths import fit, short_side
from synth.recipes.ranges import Range, draw_seed, share, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import blur
from synth.strokes import normals, paint, resample


@recipe("fibre")
@dataclass(frozen=True)
class Fibre:
    """One thread of even width. Lengths are shares of the image's short side."""

    name: str
    length: Range = span(0.01, 2, "length as a share of the image's short side")
    width_px: Range = span(0.5, 20, "width, pixels")
    curl: Range = span(0, 20, "how much it turns over its length, radians")
    depth: Range = span(0, 1, "contrast to the surface as a share of its level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    gloss: Range = span(0, 2, "brightness of its lit side, as a share of the contrast")
    shadow: Range = span(0, 1, "darkness of the shadow it throws, as a share of the surface's level")
    lift_px: Range = span(0, 20, "how far off its shadow lies where it is highest, pixels")
    bright: float = share("how often it is brighter than the surface")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw the control points of the curl, in pixels of the patch."""
        length = rng.uniform(*self.length) * short_side(size)
        steps = 14
        curl = rng.uniform(*self.curl)
        bends = rng.normal(rng.choice([-1, 1]) * 0.5 * curl, 1.6 * curl, steps) / steps
        bends = np.convolve(bends, [0.25, 0.5, 0.25], "same")  # a thread bends, it does not break
        headings = rng.uniform(-np.pi, np.pi) + np.cumsum(bends)
        moves = np.stack([np.sin(headings), np.cos(headings)], axis=1) * length / steps
        lift = rng.uniform(*self.lift_px)
        (line,), patch = fit([np.vstack([np.zeros((1, 2)), np.cumsum(moves, axis=0)])], margin=lift + 8, limit=size)
        return {
            "size": patch,
            "line": line.tolist(),
            "width_px": float(rng.uniform(*self.width_px)),
            "contrast": draw_contrast(rng, measure(ground), self.depth, self.over_grain, self.bright),
            "gloss": float(rng.uniform(*self.gloss)),
            "shadow": float(rng.uniform(*self.shadow)),
            "lift_px": float(lift),
            "light_rad": float(rng.uniform(*self.light_rad)),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Draw the shadow, then the thread, then the gleam on its lit side."""
        shape = (ground.shape[0], ground.shape[1])
        points = resample(numbers["line"], smooth=True)
        n, width = len(points), numbers["width_px"]
        light = np.array([np.sin(numbers["light_rad"]), np.cos(numbers["light_rad"])])
        lift = numbers["lift_px"] * np.clip(0.5 + 0.5 * noise_line(numbers["seed"], n, stretch=4.0), 0, 1)
        cast = blur(paint(shape, points - light * (lift + 0.5)[:, None], width + 0.6, 1 - 0.4 * lift / 20), 0.8)
        even = 1 + 0.08 * noise_line(numbers["seed"] + 1, n, stretch=2.0)
        thread = paint(shape, points, width * even, np.ones(n))
        side = normals(points)
        facing = side @ light
        lit_line = points + np.sign(facing)[:, None] * side * width * 0.25
        lit = paint(shape, lit_line, max(0.7, width * 0.4), np.abs(facing))
        contrast, level = numbers["contrast"], mean_level(ground)
        own = level + contrast * even.mean() + abs(contrast) * numbers["gloss"] * (lit - 0.25)
        under = ground * (1 - numbers["shadow"] * cast)[..., None]
        cover = (thread * 0.94)[..., None]
        return to_patch(ground, np.asarray(under * (1 - cover) + own[..., None] * cover, np.float32), contrast)
