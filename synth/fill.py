"""Fill gaps: which candidates are kept for which gap, and what they do to it; the regions first, then mere numbers.

What a gap is, and the vectors, are handed in; aim.py has the words for one region, this file the whole list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from synth.aim import GapVerdict, Outcome, Rows, coverage, distances
from synth.giving_up import Effort, fewest_needed, is_region_vain
from synth.record import plain

CLOSED_AT = 0.9  # of a region's points covered
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """A variant that passed the rules. image, mask: its files. host_id: of the image that it was drawn into."""

    image: Path
    mask: Path
    host_id: str


@dataclass(frozen=True)
class Target:
    """One gap of a class. name: unique among them. have, need: labelled images, and how many are wanted; missing: of
    these, how many are to be made.

    points: (g, d) unit rows of its region, None = only numbers lack. real: (r, d) the class's labelled images.
    neighbours: labelled images or variants within reach that cover a point. meets: whether a variant lies in the slice.
    """

    name: str
    have: int
    need: int
    missing: int
    real: Rows
    points: Rows | None = None
    neighbours: int = 5
    meets: Callable[[Candidate], bool] | None = None


@dataclass(frozen=True)
class GapAim:
    """What a run aims at. targets: of one class, the most pressing first. reach: distance that counts as near.

    embed: image files -> unit rows in the space of the points; the folder is where it may keep them. key: names all of
    this, so that another aim is another set. give_up_error: chance of giving up a gap that the rest would fill.
    """

    targets: tuple[Target, ...]
    reach: float
    embed: Callable[[Sequence[Path], Path], Rows]
    key: str
    give_up_error: float = 0.05


@dataclass(frozen=True)
class Filled:
    """keep: positions of the candidates to keep, ascending. verdicts: one per target, in the order given."""

    keep: tuple[int, ...]
    verdicts: tuple[GapVerdict, ...]

    def is_enough(self, most: int) -> bool:
        """Whether no more candidates are wanted: each gap is closed or given up, or only numbers lack and ``most`` are
        kept."""
        left = [one for one in self.verdicts if one.outcome not in ("closed", "covered") and not one.given_up]
        return not left or (len(self.keep) >= most and all(np.isnan(one.reach) for one in left))


def fill_gaps(
    targets: Sequence[Target], vectors: Rows, meets: Flags, *, most: int, reach: float, effort: Effort | None = None
) -> Filled:
    """Choose ``most`` candidates at most. vectors: (m, d). meets: (t, m), whether a candidate lies in a gap's slice.

    Regions are covered first, each by as few as do it (greedy, as in close_gap, those kept before counted); then
    numbers are filled in the order of the candidates. A variant counts for every gap that it lies in. effort: what it
    took so far, to tell which gaps are to be given up; None = none is.
    """
    kept: list[int] = []
    near = [_near(one, vectors, allowed, reach) for one, allowed in zip(targets, meets, strict=True)]
    for one, close in zip(targets, near, strict=True):
        if one.points is not None:
            kept += _cover(one, close, kept, most - len(kept), reach)
    for one, allowed in zip(targets, meets, strict=True):
        if one.points is None:
            free = np.setdiff1d(np.flatnonzero(allowed), kept)
            lacking = min(most - len(kept), one.missing - int(allowed[kept].sum()))
            kept += free[: max(0, lacking)].tolist()
    verdicts = [
        _judge_number(one, allowed, kept, most)
        if one.points is None
        else _judge_region(one, vectors, allowed, kept, most=most, reach=reach)
        for one, allowed in zip(targets, meets, strict=True)
    ]
    if effort is not None:
        verdicts = [
            _give_up(one, verdict, close, allowed, effort, reach)
            for one, verdict, close, allowed in zip(targets, verdicts, near, meets, strict=True)
        ]
    return Filled(tuple(sorted(kept)), tuple(verdicts))


def outcome_to_json(verdict: GapVerdict, ids: Sequence[str]) -> dict[str, Any]:
    """Return a verdict as JSON values, its candidates as ids."""
    return dict(plain({**asdict(verdict), "kept": [ids[row] for row in verdict.kept]}))


def gaps_of(verdicts: Sequence[GapVerdict]) -> Mapping[int, list[str]]:
    """Return candidate -> names of the gaps that it counts for."""
    found: dict[int, list[str]] = {}
    for one in verdicts:
        for row in one.kept:
            found.setdefault(row, []).append(one.name)
    return found


def _near(target: Target, vectors: Rows, allowed: Flags, reach: float) -> Flags:
    """Return (g, m) which candidates of the slice lie within reach of which of its points."""
    if target.points is None or not len(vectors):
        return np.zeros((0 if target.points is None else len(target.points), len(allowed)), np.bool_)
    return np.asarray((distances(target.points, vectors) <= reach) & allowed)


def _cover(target: Target, near: Flags, kept: Sequence[int], most: int, reach: float) -> list[int]:
    """Return candidates, the most helpful first, until none brings a point nearer to being covered."""
    assert target.points is not None
    have = (distances(target.points, target.real) <= reach).sum(axis=1) + near[:, list(kept)].sum(axis=1)
    missing = np.maximum(target.neighbours - have, 0)
    if float((missing == 0).mean()) >= CLOSED_AT:
        return []
    free = np.ones(near.shape[1], np.bool_)
    free[list(kept)] = False
    chosen: list[int] = []
    while len(chosen) < most:
        gain = near[missing > 0].sum(axis=0) * free
        if not gain.size or gain.max() == 0:
            break
        chosen.append(int(gain.argmax()))
        free[chosen[-1]] = False
        missing = np.maximum(missing - near[:, chosen[-1]], 0)
    return chosen


def _judge_region(
    target: Target, vectors: Rows, allowed: Flags, kept: Sequence[int], *, most: int, reach: float
) -> GapVerdict:
    assert target.points is not None
    points, count = target.points, target.neighbours
    before = coverage(points, target.real, neighbours=count, reach=reach)
    own = [row for row in kept if allowed[row]]
    landed = [row for row in own if (distances(points, vectors[[row]]) <= reach).any()]
    after = coverage(points, np.vstack([target.real, vectors[landed]]), neighbours=count, reach=reach)
    apart = distances(points, vectors[allowed]) if allowed.any() else np.full((len(points), 1), np.inf, np.float32)
    nearest = float(apart.min())
    far = int((apart.min(axis=1) > reach).sum())
    outcome, reason = _say_region(before, after, nearest, reach, (len(landed), int(allowed.sum()), far, len(points)))
    if outcome == "narrowed" and len(kept) >= most:
        reason += f"; the most images asked for, {most}, are kept"
    return GapVerdict(target.name, outcome, before, after, tuple(landed), nearest, reach, reason)


def _give_up(
    target: Target, verdict: GapVerdict, near: Flags, allowed: Flags, effort: Effort, reach: float
) -> GapVerdict:
    """Mark a gap that the rest of the proposals would not fill. Numbers only where none was made: each one counts."""
    if verdict.outcome in ("closed", "covered"):
        return verdict
    if target.points is None:
        is_vain = not allowed.any() and effort.is_vain(0, target.missing)
        return (
            replace(verdict, given_up=True, reason=verdict.reason + effort.say(target.missing)) if is_vain else verdict
        )
    have = (distances(target.points, target.real) <= reach).sum(axis=1)
    if not is_region_vain(effort, near, have, target.neighbours, CLOSED_AT):
        return verdict
    lacking = fewest_needed(target.neighbours - have, CLOSED_AT)
    tried = f"{effort.tried} of {effort.tried + effort.left} proposals"
    why = f"; given up after {tried}: the rest would not cover it" if near.any() else effort.say(lacking)
    return replace(verdict, given_up=True, reason=verdict.reason + why)


def _say_region(
    before: float, after: float, nearest: float, reach: float, counts: tuple[int, int, int, int]
) -> tuple[Outcome, str]:
    """Return the outcome and why. counts: kept here, candidates, points that none comes near, points."""
    n_landed, n_candidates, far, n_points = counts
    if before >= CLOSED_AT:
        return "covered", "real images cover it already"
    if not n_candidates:
        return "unreachable", "no variant of this slice was made: no host shows it, or no rule lets one through"
    if nearest > reach:
        return "unreachable", f"the nearest of {n_candidates} variants is {nearest:.2f} away, {reach:.2f} counts as " \
                              "near: these donors, hosts and recipes do not make what is missing"  # fmt: skip
    if after >= CLOSED_AT:
        return "closed", f"{n_landed} variants cover it"
    lack = f"none comes near {far} of its {n_points} images" if far else "more are needed there"
    return "narrowed", f"{n_landed} variants land in it, but {lack}"


def _judge_number(target: Target, allowed: Flags, kept: Sequence[int], most: int) -> GapVerdict:
    own = tuple(row for row in kept if allowed[row])
    before, after = (min(1.0, n / max(1, target.need)) for n in (target.have, target.have + len(own)))
    outcome: Outcome = "closed" if len(own) >= target.missing else "narrowed" if allowed.any() else "unreachable"
    reason = f"{len(own)} variants stand in for {target.missing} missing images, and count as no real one"
    if outcome == "unreachable":
        reason = "no variant of it passed the rules"
    elif outcome == "narrowed" and len(kept) >= most:
        reason += f"; the most images asked for, {most}, are kept"
    return GapVerdict(target.name, outcome, before, after, own, float("nan"), float("nan"), reason)
