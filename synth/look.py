"""Every random number of a donor's new look, drawn in one place: shape, direction, contrast, grain of the colours.

What hurt in experiments was turning defects at random and softening them, so directions stay near the real one unless
the defect has none, and contrast stays within the real range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth.centreline import centre_line, half_length, is_line
from synth.course import course_of
from synth.records import BlendMode, Donor

ROUND = 1.5  # elongation up to which a defect has no direction
TURN = (0.02, 0.10)  # rad, standard deviation, least and most
SCALE = (0.16, 0.7, 1.35)  # standard deviation of the logarithm, least, most
LARGE_PX = 160  # from here on a defect's size belongs to the part rather than to chance
STRENGTH = (0.10, 0.8, 1.25)  # standard deviation, least, most
STRETCH = (0.18, 0.65, 1.5)  # of a line
BEND = (0.05, 0.04)  # most standard deviations of arc and S, shares of the length
BEND_SHARE = 0.5  # of the real ones' own bends: added to a real bend, a quarter more variance
CURL = (0.15, 0.35)  # of a curved line's turning: standard deviation and most, shares
SWAY = (0.12, 0.3)  # turned more to one end: standard deviation and most, rad
THIN_PLATE = 0.03  # standard deviation, share of the short side
ELASTIC = 0.7  # px


@dataclass(frozen=True)
class Habits:
    """How much the real ones differ among themselves: straight cracks are not bent, parallel ones hardly turned.

    turn: standard deviation, rad. bend: of arc and S, shares of the length.
    """

    turn: float = TURN[1]
    bend: tuple[float, float] = BEND


def learn_habits(donors: Iterable[Donor], angle_spread: float) -> Habits:
    """Return how far a look may leave its donor's. angle_spread: between the directions of real ones, rad."""
    bends = np.array([own_bend(donor) for donor in donors if is_line(donor)], np.float64).reshape(-1, 2)
    known = np.sqrt(np.median(bends**2, axis=0)) * BEND_SHARE if len(bends) else np.asarray(BEND)
    arc, s = np.minimum(known, BEND)
    return Habits(float(np.clip(angle_spread / 2, *TURN)), (float(arc), float(s)))


def own_bend(donor: Donor) -> npt.NDArray[np.float64]:
    """Return the arc and S of a line's own course, shares of its length, as `centreline.bend_offset` draws them."""
    at, across = centre_line(donor)
    length = half_length(donor, 1)
    t = np.clip(at / length, -1, 1)
    window = 2 * length * (1 - t * t) ** 2
    terms = np.stack([np.ones_like(t), t, window, 2 * window * t], 1)
    return np.asarray(np.linalg.lstsq(terms, across, rcond=None)[0][2:], np.float64)


def draw_look(
    rng: np.random.Generator, donor: Donor, *, mode: BlendMode, branching: float = 0.0, habits: Habits = Habits()
) -> dict[str, Any]:
    """Return scale, angle_rad, mirrored, strength and numbers of a Plan, JSON values; ``Plan(..., **draw_look(...))``.

    A donor at the image's edge is neither turned nor, if it spans the image, scaled. ``mode`` alpha keeps the strength
    at 1: what covers the surface is opaque. branching: share of long defects that get a branch (cracks may, scratches
    do not).
    """
    scale, mirrored, turned = draw_scale(rng, donor), bool(rng.random() < 0.5), draw_turn(rng, donor, habits)
    mirrored = mirrored and not is_large(donor)  # it may show the part's own print
    if any(donor.at_edge):
        turned = 0.0
    elif mirrored and donor.elongation > ROUND:
        back = wrapped(2 * donor.angle_rad)  # what brings the mirrored axis back to the real direction
        mirrored = abs(back) < 0.35
        turned += back if mirrored else 0.0
    strength = 1.0 if mode == "alpha" else clipped(rng.normal(1, STRENGTH[0]), STRENGTH[1], STRENGTH[2])
    return {
        "scale": round(scale, 4),
        "angle_rad": round(turned, 4),
        "mirrored": mirrored,
        "strength": round(strength, 4),
        "numbers": draw_numbers(rng, donor, branching, habits),
    }


def draw_scale(rng: np.random.Generator, donor: Donor) -> float:
    scale = clipped(float(np.exp(rng.normal(0, SCALE[0]))), SCALE[1], SCALE[2])
    top, bottom, left, right = donor.at_edge
    if (top and bottom) or (left and right):
        return 1.0
    if is_large(donor):
        return 1 + (scale - 1) / 3
    return scale


def draw_turn(rng: np.random.Generator, donor: Donor, habits: Habits) -> float:
    """A little; for a defect without direction quarter turns too (grounds are often alike in both axes)."""
    little, quarters = float(rng.normal(0, 1)), int(rng.integers(0, 4))
    little *= habits.turn if donor.elongation > ROUND else TURN[1]
    if donor.elongation <= ROUND and not is_large(donor):
        return wrapped(little + quarters * np.pi / 2)
    return wrapped(little + (np.pi if quarters >= 2 else 0.0))


def draw_numbers(rng: np.random.Generator, donor: Donor, branching: float, habits: Habits) -> dict[str, Any]:
    plate, elastic = rng.normal(0, THIN_PLATE, (3, 3, 2)), rng.normal(0, ELASTIC, (6, 6, 2))
    if is_large(donor):  # its streaks are the part's, and straight
        plate, elastic = plate / 4, elastic / 2
    numbers: dict[str, Any] = {
        "thin_plate": np.round(np.clip(plate, -0.08, 0.08), 3).tolist(),
        "elastic": np.round(np.clip(elastic, -2, 2), 2).tolist(),
        "photometric": int(rng.integers(0, 2**31)),
    }
    drawn = rng.normal(0, 1, 3)
    stretch, arc, s = drawn * (STRETCH[0], *habits.bend)
    if is_line(donor):
        spans = (donor.at_edge[0] and donor.at_edge[1]) or (donor.at_edge[2] and donor.at_edge[3])
        numbers["stretch"] = (
            1.0 if any(donor.at_edge) else round(clipped(float(np.exp(stretch)), STRETCH[1], STRETCH[2]), 3)
        )
        share = 0.5 if spans else 1.0
        numbers["bend"] = [round(share * clipped(float(n), -0.12, 0.12), 4) for n in (arc, s)]
    elif course_of(donor) is not None:
        curl, sway = drawn[1:] * (CURL[0], SWAY[0])
        numbers["course"] = [
            round(clipped(float(np.exp(stretch)), STRETCH[1], STRETCH[2]), 3),
            round(clipped(curl, -CURL[1], CURL[1]), 3), round(clipped(sway, -SWAY[1], SWAY[1]), 3),
        ]  # fmt: skip
    chance, where, angle, side, length = rng.random(5)
    if is_line(donor) and chance < branching:
        turned = (0.35 + 0.6 * angle) * (1 if side < 0.5 else -1)
        numbers["branch"] = [round(0.15 + 0.5 * where, 3), round(turned, 3), round(0.2 + 0.25 * length, 3)]
    return numbers


def is_large(donor: Donor) -> bool:
    """Tell whether a defect is so large that much of it is the part itself."""
    return bool(max(donor.mask.shape) > LARGE_PX)


def wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def clipped(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
