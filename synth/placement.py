"""Where on the part a defect goes, and which way it lies: as the real ones do, with a share left to chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from synth.records import Donor, Host, Mask

EXPLORE_SHARE = 0.2  # of the places and directions drawn without the prior: three examples have not seen everything
LABEL_MARGIN_PX = 4  # kept between a new defect and what is labelled already
_TRIES = 60
LONG = 1.5  # elongation from which a defect has a direction
_SPREAD = (0.02, 0.15)  # of places
_ANGLE_SPREAD = (math.radians(2), math.radians(12))


@dataclass(frozen=True)
class Prior:
    """Where and which way the real defects of a class lie; kernel densities over the donors.

    places: (m, 2) centres (y, x) as shares of the part's box, 0..1. spread: (2,) bandwidth, the same unit. angles:
    (k,) of the long ones, radians against the x axis; empty = no direction is known. angle_spread: bandwidth, radians.
    """

    places: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    angles: npt.NDArray[np.float64]
    explore: float = EXPLORE_SHARE
    angle_spread: float = math.radians(12)


@dataclass(frozen=True)
class NoPlace:
    """Why a defect could not be placed; counted and reported."""

    reason: str


def learn_prior(donors: Sequence[Donor], explore: float = EXPLORE_SHARE) -> Prior:
    """Return where defects like these lie. Donors of one group count once between them: one part, one witness."""
    weight_of = {donor.group: 0 for donor in donors}
    seen: list[tuple[float, float]] = []
    angles: list[float] = []
    for donor in donors:
        weight_of[donor.group] += 1
        if weight_of[donor.group] <= 3:
            seen.append(donor.place)
            angles += [donor.angle_rad] if donor.elongation >= LONG else []
    places = np.array(seen, np.float64).reshape(-1, 2)
    known = np.array(angles, np.float64)
    turns = np.abs((known[:, None] - known[None, :] + math.pi / 2) % math.pi - math.pi / 2)
    return Prior(places, bandwidth(places), known, explore, float(np.clip(nearest(turns, 1.0), *_ANGLE_SPREAD)))


def bandwidth(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (2,): the median distance to the nearest other, per axis; one place says nothing of how others spread.

    Not a share of the deviation (Scott's rule): breaks at two opposite edges would be spread over the whole part.
    """
    apart = np.abs(places[:, None] - places[None, :])
    far = np.hypot(apart[..., 0], apart[..., 1])
    return np.full(2, np.clip(nearest(far, _SPREAD[1]) / math.sqrt(2), *_SPREAD))


def nearest(apart: npt.NDArray[np.float64], alone: float) -> float:
    """Return the median over rows of the least distance (n, n) to another; ``alone`` for fewer than two."""
    if len(apart) < 2:
        return alone
    return float(np.median(np.where(np.eye(len(apart), dtype=bool), np.inf, apart).min(axis=1)))


def draw_direction(rng: np.random.Generator, prior: Prior) -> float | None:
    """Return which way a long defect shall lie, radians against the x axis, as some real one does; None = as it did.

    Half of them keep their own direction, for light falls from one side and shading turns with the defect.
    """
    keeps, explores, near, jitter = rng.random(), rng.random(), rng.integers(1 << 30), rng.normal(0, prior.angle_spread)
    if keeps < 0.5 or not len(prior.angles):
        return None
    if explores < prior.explore:
        return float(rng.uniform(-math.pi / 2, math.pi / 2))
    return float(prior.angles[near % len(prior.angles)]) + float(jitter)


def turn_to(direction: float, donor: Donor, mirrored: bool) -> float:
    """Return how far to turn a donor, mirrored first or not, so that its long axis lies so; -pi/2 .. pi/2."""
    turn = direction - (-donor.angle_rad if mirrored else donor.angle_rad)
    return (turn + math.pi / 2) % math.pi - math.pi / 2


def place(
    rng: np.random.Generator, footprint: Mask, host: Host, prior: Prior, edges: Sequence[bool] = (False,) * 4
) -> tuple[int, int] | NoPlace:
    """Draw the (y, x) of a patch's top left corner in the host, so that the defect lies on the part and on no label.

    footprint: (h, w) of the patch, where the defect is. edges: (top, bottom, left, right) of the image that the defect
    must reach, as a donor at_edge does; all others must not be reached.
    """
    rows, columns = np.nonzero(footprint)
    if not len(rows):
        return NoPlace("nothing left of it")
    box = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    tight = footprint[box[0] : box[2], box[1] : box[3]]
    room = (host.part.shape[0] - tight.shape[0], host.part.shape[1] - tight.shape[1])
    if min(room) < 0:
        return NoPlace("larger than the host")
    blocked = block(host)
    part_box = box_of_part(host.part)
    for _ in range(_TRIES):
        y, x = _draw_centre(rng, prior, part_box)
        top = _snap(y - tight.shape[0] / 2, room[0], edges[0], edges[1])
        left = _snap(x - tight.shape[1] / 2, room[1], edges[2], edges[3])
        if top is None or left is None:
            continue
        if not (blocked[top : top + tight.shape[0], left : left + tight.shape[1]] & tight).any():
            return top - box[0], left - box[1]
    return NoPlace("no free place on the part")


def block(host: Host) -> Mask:
    """Return (h, w) where no defect may lie: off the part, or within ``LABEL_MARGIN_PX`` of a label."""
    blocked = ~host.part
    if host.taken.any():
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * LABEL_MARGIN_PX + 1,) * 2)
        blocked |= cv2.dilate(host.taken.astype(np.uint8), kernel) > 0
    return np.asarray(blocked, np.bool_)


def _draw_centre(rng: np.random.Generator, prior: Prior, part: tuple[int, int, int, int]) -> tuple[float, float]:
    top, left, bottom, right = part
    if not len(prior.places) or rng.random() < prior.explore:
        share = rng.random(2)
    else:
        share = prior.places[rng.integers(len(prior.places))] + rng.normal(0, 1, 2) * prior.spread
    return top + float(share[0]) * (bottom - top), left + float(share[1]) * (right - left)


def _snap(start: float, room: int, at_low: bool, at_high: bool) -> int | None:
    """Return a defect's first pixel on one axis: at the edge that it must reach, else off both, None = outside."""
    if at_low or at_high:
        return 0 if at_low else room
    first = round(start)
    return first if 0 < first < room else None


def box_of_part(part: Mask) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of the part, the last two beyond it; the whole picture where it is empty."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not len(rows):
        return 0, 0, part.shape[0], part.shape[1]
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
