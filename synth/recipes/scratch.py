"""A scratch: one or more strokes of a hard point, with a burr that the light catches on one side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.ground import add, draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_field, noise_line
from synth.paths import fit, short_side, walk
from synth.recipes.ranges import Counts, Range, count, draw_count, draw_seed, share, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import blur
from synth.strokes import normals, paint, resample, taper


@recipe("scratch")
@dataclass(frozen=True)
class Scratch:
    """Thin, nearly straight strokes. Lengths are shares of the image's short side."""

    name: str
    length: Range = span(0.01, 1.5, "length as a share of the image's short side")
    width_px: Range = span(0.4, 20, "width of the groove, pixels")
    bend: Range = span(0, 3, "how much the stroke turns over its length, radians")
    strokes: Counts = count(1, 12, "parallel strokes")
    skip: Range = span(0, 0.9, "share of the stroke where the point hardly touched")
    depth: Range = span(0, 1, "contrast as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    burr: Range = span(0, 2, "brightness of the lit and darkness of the shaded rim, as a share of the contrast")
    soft_px: Range = span(0, 5, "blur of the whole, pixels")
    bright: float = share("how often the groove is brighter than the surface")
    light_rad: Range = span(-7, 7, "where the light comes from: 0 right, pi/2 below")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw control points of every stroke, in pixels of the patch."""
        length = rng.uniform(*self.length) * short_side(size)
        width = rng.uniform(*self.width_px)
        main = walk(rng, length, rng.uniform(-np.pi, np.pi), steps=6, turn=rng.uniform(*self.bend))
        lines = [main]
        for _ in range(draw_count(rng, self.strokes) - 1):
            gap = rng.uniform(1.5, 6) * max(width, 1.0) * rng.choice([-1, 1])
            lines.append(walk_beside(rng, main, gap))
        lines, patch = fit(lines, margin=8, limit=size)
        return {
            "size": patch,
            "lines": [line.tolist() for line in lines],
            "widths_px": [float(width * f) for f in [1.0, *rng.uniform(0.5, 0.9, len(lines) - 1)]],
            "skip": float(rng.uniform(*self.skip)),
            "contrast": draw_contrast(rng, measure(ground), self.depth, self.over_grain, self.bright),
            "burr": float(rng.uniform(*self.burr)),
            "soft_px": float(rng.uniform(*self.soft_px)),
            "light_rad": float(rng.uniform(*self.light_rad)),
            "ends": [float(v) for v in rng.uniform(0.04, 0.35, 2)],
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Draw groove, lit rim and shaded rim of every stroke."""
        shape = ground.shape[:2]
        groove, lit, shaded = (np.zeros(shape, np.float32) for _ in range(3))
        light = np.array([np.sin(numbers["light_rad"]), np.cos(numbers["light_rad"])])
        for i, (line, width) in enumerate(zip(numbers["lines"], numbers["widths_px"], strict=True)):
            points = resample(line, smooth=True)
            n, seed = len(points), numbers["seed"] + 7919 * i
            points = points + normals(points) * (0.25 * noise_line(seed, n, stretch=3.0))[:, None]
            press = 1 + 0.45 * noise_line(seed + 1, n, stretch=2.0) - _skips(seed + 2, n, numbers["skip"])
            press = np.clip(press, 0, 1.4) * taper(n, numbers["ends"])
            widths = width * (0.55 + 0.45 * np.clip(press, 0, 1.2))
            groove = np.maximum(groove, paint(shape, points, widths, press))
            side = normals(points)
            facing = side @ light
            out = np.sign(facing)[:, None] * side * (widths / 2 + 0.6)[:, None]
            lit = np.maximum(lit, paint(shape, points + out, max(width * 0.5, 0.9), press * np.abs(facing)))
            shaded = np.maximum(shaded, paint(shape, points - out, 0.9, press * np.abs(facing)))
        contrast = numbers["contrast"]
        grain = 1 + 0.22 * noise_field(numbers["seed"], (shape[0], shape[1]), grade="grain")
        change = contrast * groove * grain + abs(contrast) * numbers["burr"] * (lit - shaded) * (1 - 0.7 * groove)
        change = blur(np.asarray(change, np.float32), numbers["soft_px"])
        return to_patch(ground, add(ground, change, mean_level(ground)), contrast)


def walk_beside(rng: np.random.Generator, main: np.ndarray, gap_px: float) -> np.ndarray:
    """Return a shorter stroke along ``main`` (n, 2), ``gap_px`` beside it and not quite parallel."""
    start, end = sorted(rng.uniform(0, 1, 2))
    end = max(end, min(1.0, start + 0.3))
    at = np.linspace(start, end, 5) * (len(main) - 1)
    points = np.stack([np.interp(at, np.arange(len(main)), main[:, axis]) for axis in (0, 1)], axis=1)
    drift = np.linspace(0, rng.normal() * 0.6, 5) * abs(gap_px)
    return points + normals(points) * (gap_px + drift)[:, None]


def _skips(seed: int, n: int, share_: float) -> np.ndarray:
    """Return (n,) 0..1.3: above 0 where the point lifts off, over about that share of the line."""
    waves = noise_line(seed, n, stretch=2.5)
    return np.clip((waves - np.quantile(waves, 1 - share_)) * 1.5, 0, 1.3) if share_ > 0 else np.zeros(n)
