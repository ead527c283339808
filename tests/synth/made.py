"""Surfaces, defects, donors and hosts made in code."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from synth.bank import build_bank
from synth.records import BlendMode, Donor, Example, Host, Image, Mask, Plan


def surface(
    shape: tuple[int, int], *, level: float = 150, grain: float = 2, seed: int = 0, colour: bool = False
) -> Image:
    """A shaded surface with grain, grey or with a tint."""
    rng = np.random.default_rng(seed)
    shade = np.linspace(-4, 4, shape[1])[None, :] + rng.normal(0, grain, shape)
    tint = np.array([1.0, 0.8, 0.6]) if colour else np.ones(3)
    return np.clip(np.rint((level + shade)[:, :, None] * tint), 0, 255).astype(np.uint8)


def blob(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> Mask:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.asarray(((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1)


def streak(shape: tuple[int, int], start: tuple[int, int], end: tuple[int, int], width: int = 3) -> Mask:
    """A straight line from (y, x) to (y, x)."""
    out = np.zeros(shape, np.uint8)
    cv2.line(out, start[::-1], end[::-1], 1, width)
    return out > 0


def stained(ground: Image, mask: Mask, change: float) -> Image:
    """The ground darker or lighter inside the mask, softened by about a pixel as a lens would."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6)[:, :, None]
    return np.clip(np.rint(ground + soft * change), 0, 255).astype(np.uint8)


def bank_of(picture: Image, mask: Mask, label: str = "pit") -> list[Donor]:
    images = {"a.png": picture, "m.png": np.repeat(mask[:, :, None], 3, 2).astype(np.uint8) * 255}
    return build_bank([Example("a.png", label, "g1", mask="m.png")], lambda path: images[str(path)], label=label)


def donor_of(picture: Image, mask: Mask, label: str = "pit") -> Donor:
    return bank_of(picture, mask, label)[0]


def host_of(picture: Image, host_id: str = "h") -> Host:
    whole = np.ones(picture.shape[:2], bool)
    return Host(host_id, str(Path("h.png")), "g2", "good", picture, whole, ~whole)


def plan_of(
    donor: Donor, *, number: int = 0, at: tuple[int, int] = (20, 30), blend: BlendMode = "gradient", **look: object
) -> Plan:
    return Plan(number, donor.label, "donor", donor.donor_id, "h", at, blend, **look)  # type: ignore[arg-type]


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max(1, (a | b).sum()))
