"""A crack: a thin dark line that breaks its way through the material and branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.ground import add, draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_field, noise_line
from synth.paths import fit, jagged, short_side
from synth.recipes.ranges import Counts, Range, count, draw_count, draw_seed, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import blur
from synth.strokes import Points, normals, paint, resample


@recipe("crack")
@dataclass(frozen=True)
class Crack:
    """A jagged line, widest where it began, thin at its tips. Lengths are shares of the image's short side."""

    name: str
    length: Range = span(0.01, 1.5, "length of the main line as a share of the image's short side")
    width_px: Range = span(0.4, 20, "width where it is widest, pixels")
    kink_rad: Range = span(0, 1.5, "deviation of one piece's direction from the last")
    piece_px: Range = span(1.5, 40, "length of one straight piece, pixels")
    branches: Counts = count(0, 12, "side lines")
    branch_length: Range = span(0.05, 1, "length of a side line as a share of the main line's")
    branch_rad: Range = span(0.1, 1.6, "angle between a side line and the line that it leaves")
    depth: Range = span(0, 1, "contrast as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    halo: Range = span(0, 1, "darkness of the strained material beside it, as a share of the contrast")
    lip: Range = span(0, 1, "brightness of the lit edge, as a share of the contrast")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw the points of the main line and of every branch, in pixels of the patch."""
        length = rng.uniform(*self.length) * short_side(size)
        kink, piece = rng.uniform(*self.kink_rad), rng.uniform(*self.piece_px)
        lines = [jagged(rng, length, rng.uniform(-np.pi, np.pi), step_px=piece, kink=kink)]
        starts = [1.0]
        for _ in range(draw_count(rng, self.branches)):
            parent = int(rng.integers(len(lines))) if rng.random() < 0.35 else 0
            line = lines[parent]
            at = int(rng.integers(1, max(2, len(line) - 1)))
            ahead = line[min(at + 1, len(line) - 1)] - line[at - 1]
            heading = np.arctan2(*ahead) + rng.choice([-1, 1]) * rng.uniform(*self.branch_rad)
            side = jagged(rng, rng.uniform(*self.branch_length) * length, heading, step_px=piece, kink=kink)
            lines.append(side + line[at])
            starts.append(starts[parent] * float(rng.uniform(0.45, 0.8)) * (1 - 0.5 * at / len(line)))
        lines, patch = fit(lines, margin=max(8.0, 2 * self.width_px[1]), limit=size)  # room for a wide one, too
        width = rng.uniform(*self.width_px)
        return {
            "size": patch,
            "lines": [line.tolist() for line in lines],
            "widths_px": [float(width * start) for start in starts],
            "widest_at": float(rng.uniform(0.1, 0.6)),
            "contrast": draw_contrast(rng, measure(ground), self.depth, self.over_grain, bright=0.0),
            "halo": float(rng.uniform(*self.halo)),
            "lip": float(rng.uniform(*self.lip)),
            "light_rad": float(rng.uniform(*self.light_rad)),
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Draw the gap, a soft dark halo, and the edge that faces the light."""
        shape = (ground.shape[0], ground.shape[1])
        gap, lip = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        light = np.array([np.sin(numbers["light_rad"]), np.cos(numbers["light_rad"])])
        for i, (line, width) in enumerate(zip(numbers["lines"], numbers["widths_px"], strict=True)):
            points, widths, dark = _trace(line, width, numbers["seed"] + 7919 * i, 0.0 if i else numbers["widest_at"])
            gap = np.maximum(gap, paint(shape, points, widths, dark))
            side = normals(points)
            facing = side @ light
            rim = points - np.sign(facing)[:, None] * side * (widths / 2 + 0.7)[:, None]
            lip = np.maximum(lip, paint(shape, rim, 0.9, dark * np.abs(facing)))
        contrast = numbers["contrast"]
        strained = blur(gap, 2.2) * (1 + 0.4 * noise_field(numbers["seed"], shape))
        change = contrast * np.maximum(gap, numbers["halo"] * np.clip(strained, 0, 1))
        change += abs(contrast) * numbers["lip"] * lip * (1 - np.clip(gap * 1.5, 0, 1))
        return to_patch(ground, add(ground, np.asarray(change, np.float32), mean_level(ground)), contrast)


def _trace(line: Any, width_px: float, seed: int, widest_at: float) -> tuple[Points, np.ndarray, np.ndarray]:
    """Return points (n, 2), widths (n,) and darkness (n,) 0..1 along one line, rough and thinning to its tips."""
    points = resample(line, smooth=False)
    n = len(points)
    points = points + normals(points) * (0.3 * noise_line(seed, n, grade="mottle"))[:, None]
    t = np.linspace(0, 1, n)
    thin = np.where(t < widest_at, t / max(widest_at, 1e-6), (1 - t) / (1 - widest_at)) ** 0.6
    widths = width_px * np.clip(thin * (1 + 0.3 * noise_line(seed + 1, n, grade="mottle", stretch=2.0)), 0.15, 1.6)
    dark = np.clip(0.35 + 0.65 * thin, 0, 1) * np.clip(1 + 0.25 * noise_line(seed + 2, n, stretch=2.0), 0.35, 1)
    return points, widths, dark
