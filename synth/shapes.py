"""Closed shapes with a natural outline, and how relief looks under one light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from synth.noise import Field, noise_field

TURN_STEPS = 1024  # of the outline, looked up by angle: below .3 px at a radius of 50
HARMONICS = (2, 3, 4, 5, 7)  # of the outline around the centre; 1 would only move it


def draw_outline(rng: np.random.Generator, radius_px: float, elongation: float, wobble: float) -> dict[str, Any]:
    """Draw one closed outline: radius of a circle of its size, long axis / short axis, and how uneven it is (0..1)."""
    return {
        "radius_px": float(radius_px),
        "elongation": float(elongation),
        "turn_rad": float(rng.uniform(-np.pi / 2, np.pi / 2)),
        "waves": [float(wobble * rng.normal() / k) for k in HARMONICS],
        "phases_rad": [float(v) for v in rng.uniform(0, 2 * np.pi, len(HARMONICS))],
        "seed": int(rng.integers(2**31)),
    }


def reach(outline: Mapping[str, Any]) -> float:
    """Return how far from its centre an outline can come, in pixels."""
    far = 1 + sum(abs(wave) for wave in outline["waves"])
    return float(outline["radius_px"] * np.sqrt(outline["elongation"]) * far)


def inside_px(
    shape: tuple[int, int], centre: tuple[float, float], outline: Mapping[str, Any], *, rough_px: float
) -> Field:
    """Return (h, w): how many pixels inside the outline each one lies, about; negative = outside.

    rough_px: how far noise moves the edge, in pixels.
    """
    y = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(centre[0])
    x = np.arange(shape[1], dtype=np.float32)[None, :] - np.float32(centre[1])
    turn, stretch = outline["turn_rad"], float(np.sqrt(outline["elongation"]))
    along = (x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))) / np.float32(stretch)
    across = (y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn))) * np.float32(stretch)
    # Not cv2.cartToPolar: its last bit depends on where in memory a row begins, and renders must repeat to the byte.
    distance, angle = np.sqrt(along * along + across * across), np.arctan2(across, along)
    around = np.linspace(0, 2 * np.pi, TURN_STEPS, endpoint=False)
    edge = np.ones(TURN_STEPS)
    for k, wave, phase in zip(HARMONICS, outline["waves"], outline["phases_rad"], strict=True):
        edge += wave * np.cos(k * around + phase)
    edge = (np.maximum(edge, 0.45) * outline["radius_px"]).astype(np.float32)
    field = (
        edge[(angle * np.float32(TURN_STEPS / (2 * np.pi))).astype(np.intp) % TURN_STEPS] - distance
    )  # a negative angle counts from the end
    field *= 1 / np.float32(stretch)  # the short axis is where a pixel counts full
    if rough_px > 0.15:  # less nobody sees
        fine = noise_field(outline["seed"], shape, grade="mottle", zoom=1.3)
        field += np.float32(rough_px) * fine
    return np.asarray(field, np.float32)


Window = tuple[slice, slice]


def window_around(shape: tuple[int, int], centre: tuple[float, float], reach_px: float) -> Window:
    """Return the slices of a patch that hold a shape, 2 pixels a side or more; no work is needed outside."""
    ends = []
    for most, middle in zip(shape, centre, strict=True):
        low = min(max(0, int(middle - reach_px)), most - 2)
        ends.append(slice(low, max(low + 2, min(most, int(np.ceil(middle + reach_px)) + 1))))
    return ends[0], ends[1]


def smoothstep(values: Field, low: float, high: float) -> Field:
    """Return 0 below low, 1 above high, a smooth rise between."""
    t = np.clip((values - np.float32(low)) / np.float32(max(high - low, 1e-6)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def blur(values: Field, sigma_px: float) -> Field:
    """Return values smoothed by a Gaussian; below .2 px unchanged."""
    if sigma_px < 0.2:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32)


def shade(height: Field, light_rad: float, *, elevation_rad: float = 0.7, shine: float = 0.0) -> Field:
    """Return (h, w): how much brighter (> 0) or darker a surface is than a flat one, as a share of it.

    height: in pixels, up positive. light_rad: where the light comes from, 0 = right, pi/2 = below. Lambert's normal
    times light, plus ``shine`` times a highlight (Blinn-Phong, power 24) less that of the flat.
    """
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    flat, up = np.cos(elevation_rad), np.sin(elevation_rad)
    light = np.array([flat * np.sin(light_rad), flat * np.cos(light_rad), up], np.float32)  # y, x, z
    norm = 1 / np.sqrt(slope_y**2 + slope_x**2 + 1)
    lit = np.maximum(norm * (light[2] - slope_y * light[0] - slope_x * light[1]), 0) / light[2] - 1
    if shine > 0:
        half = light + np.array([0, 0, 1], np.float32)
        half /= np.sqrt((half**2).sum())
        gleam = np.maximum(norm * (half[2] - slope_y * half[0] - slope_x * half[1]), 0) ** 24 - half[2] ** 24
        lit = lit + np.float32(shine) * gleam
    return np.asarray(lit, np.float32)
