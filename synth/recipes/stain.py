"""A stain: liquid or residue that dried on the surface, mottled, with a darker rim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.ground import add, draw_contrast, mean_level, measure, to_patch
from synth.noise import noise_field
from synth.paths import fit, short_side
from synth.recipes.ranges import Range, draw_seed, share, span
from synth.recipes.registry import recipe
from synth.records import Levels, Patch
from synth.shapes import draw_outline, inside_px, reach, smoothstep


@recipe("stain")
@dataclass(frozen=True)
class Stain:
    """A soft patch with a cloudy outline. Sizes are shares of the image's short side."""

    name: str
    radius: Range = span(0.005, 0.6, "radius as a share of the image's short side")
    elongation: Range = span(1, 6, "long axis / short axis")
    wobble: Range = span(0, 1, "how uneven the outline is")
    cloud: Range = span(0, 1, "how far clouds move its edge, as a share of the radius")
    soft: Range = span(0.02, 1, "width over which it fades, as a share of the radius")
    ring: Range = span(0, 2, "extra darkness of the dried rim, as a share of the contrast")
    mottle: Range = span(0, 1, "unevenness inside, as a share of the contrast")
    depth: Range = span(0, 1, "contrast as a share of the surface's level")
    over_grain: Range = span(0, 20, "contrast, at least so many deviations of the surface's texture")
    tint: Range = span(0, 1, "how much the colour channels differ; unused on grey images")
    bright: float = share("how often it is brighter than the surface")

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw outline, rim, clouds and colour."""
        radius = max(4.0, rng.uniform(*self.radius) * short_side(size))
        outline = draw_outline(rng, radius, rng.uniform(*self.elongation), rng.uniform(*self.wobble))
        tone = measure(ground)
        cloud = rng.uniform(*self.cloud)
        margin = min(reach(outline) + 1.6 * cloud * radius + 6, min(size) / 2 - 2)
        _, patch = fit([np.zeros((1, 2))], margin=margin, limit=size)
        return {
            "size": patch,
            "outline": outline,
            "cloud": float(cloud),
            "soft": float(rng.uniform(*self.soft)),
            "ring": float(rng.uniform(*self.ring)),
            "mottle": float(rng.uniform(*self.mottle)),
            "contrast": draw_contrast(rng, tone, self.depth, self.over_grain, self.bright),
            "tint": [0.0] * 3 if tone.grey else [float(v) for v in rng.uniform(-1, 1, 3) * rng.uniform(*self.tint)],
            "seed": draw_seed(rng),
        }

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Lay a cloudy film with a rim over the surface; its texture stays."""
        shape = (ground.shape[0], ground.shape[1])
        outline = numbers["outline"]
        radius, seed = outline["radius_px"], numbers["seed"]
        zoom = max(0.4, radius / 24)
        clouds = noise_field(seed, shape, zoom=zoom)
        inside = inside_px(shape, ((shape[0] - 1) / 2, (shape[1] - 1) / 2), outline, rough_px=0)
        inside += np.float32(numbers["cloud"] * radius * 0.45) * clouds
        inside += np.float32(min(0.06 * radius, 1.5)) * noise_field(seed + 1, shape, grade="mottle")
        fade = max(1.0, numbers["soft"] * radius)
        film = smoothstep(inside, -0.4 * fade, 0.6 * fade)
        rim = np.exp(-((inside / np.float32(max(1.2, 0.10 * radius))) ** 2))
        uneven = 1 + numbers["mottle"] * 0.5 * noise_field(seed + 2, shape, zoom=max(0.4, zoom / 2))
        amount = film * np.clip(uneven, 0.2, 1.8) + numbers["ring"] * 0.6 * rim * film**0.5
        contrast = numbers["contrast"]
        picture = ground.copy()
        level = mean_level(ground)
        for channel, tint in enumerate(numbers["tint"]):
            change = np.asarray(contrast * (1 + tint) * amount, np.float32)
            picture[:, :, channel] = add(ground[:, :, channel : channel + 1], change, level)[:, :, 0]
        return to_patch(ground, picture, contrast)
