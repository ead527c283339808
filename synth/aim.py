"""Gap aim: which variants land where the labelled images are thin, and what they do to the coverage there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from synth.errors import SynthError

Rows = npt.NDArray[np.float32]  # (n, d)
Outcome = Literal["closed", "narrowed", "unreachable", "covered"]


@dataclass(frozen=True)
class GapVerdict:
    """What became of one gap. before, after: share of its points with ``neighbours`` labelled ones within reach, 0..1.

    kept: positions among the candidates of those that count for this gap, best first. nearest: smallest distance of a
    candidate to a point of the gap; reach: the distance that counts as near. reason: in a sentence. given_up: more
    proposals could have been made, and would not have filled it (giving_up.py).
    """

    name: str
    outcome: Outcome
    before: float
    after: float
    kept: tuple[int, ...]
    nearest: float
    reach: float
    reason: str
    given_up: bool = False


@dataclass(frozen=True)
class Aim:
    """keep: positions of the candidates to keep, ascending. verdicts: one per gap, in the order given."""

    keep: npt.NDArray[np.intp]
    verdicts: tuple[GapVerdict, ...]


def close_gap(
    real_vectors: Rows,
    candidate_vectors: Rows,
    gap_vectors: Mapping[str, Rows],
    *,
    neighbours: int = 5,
    reach: float | None = None,
    closed_at: float = 0.9,
) -> Aim:
    """Keep the candidates that land in a gap and raise its coverage; as few as do it.

    real_vectors (n, d): real labelled images. candidate_vectors (m, d): variants that passed the other rules.
    gap_vectors: by gap its points (g, d): unlabelled images of the region, or one centroid. reach: distance within
    which a labelled image covers a point; by default that of a real one to its ``neighbours``-th real one, the median.
    Greedy, the candidate that helps most points next (1 - 1/e of the best, Nemhauser et al. 1978).

    Raises:
        SynthError: vectors of different length, or too few real ones to tell a reach from.
    """
    _check(real_vectors, candidate_vectors, gap_vectors)
    reach = usual_reach(real_vectors, neighbours) if reach is None else reach
    verdicts = tuple(
        _aim_at(name, points, real_vectors, candidate_vectors, neighbours=neighbours, reach=reach, closed_at=closed_at)
        for name, points in gap_vectors.items()
    )
    kept = sorted({row for verdict in verdicts for row in verdict.kept})
    return Aim(np.asarray(kept, np.intp), verdicts)


def usual_reach(real_vectors: Rows, neighbours: int) -> float:
    """Return the median distance of a real labelled image to its ``neighbours``-th nearest real one."""
    if len(real_vectors) <= neighbours:
        raise SynthError("too few real labelled images to tell how near is near", found=str(len(real_vectors)),
                         expected=f"more than {neighbours}", hint="pass reach")  # fmt: skip
    apart = distances(real_vectors, real_vectors)
    return float(np.median(np.partition(apart, neighbours, axis=1)[:, neighbours]))


def coverage(points: Rows, vectors: Rows, *, neighbours: int, reach: float) -> float:
    """Return the share of points (g, d) with ``neighbours`` or more vectors (n, d) within reach, 0..1."""
    return float(((distances(points, vectors) <= reach).sum(axis=1) >= neighbours).mean())


def _aim_at(
    name: str, points: Rows, real: Rows, candidates: Rows, *, neighbours: int, reach: float, closed_at: float
) -> GapVerdict:
    missing = neighbours - (distances(points, real) <= reach).sum(axis=1)
    before = float((missing <= 0).mean())
    apart = distances(points, candidates) if len(candidates) else np.full((len(points), 1), np.inf, np.float32)
    nearest = float(apart.min())
    if before >= closed_at:
        return GapVerdict(name, "covered", before, before, (), nearest, reach, "real images cover it already")
    if nearest > reach:
        reason = f"the nearest of {len(candidates)} variants is {nearest:.2f} away, {reach:.2f} counts as near: " \
                 "these recipes and donors do not make what is missing; collect real images"  # fmt: skip
        return GapVerdict(name, "unreachable", before, before, (), nearest, reach, reason)
    kept = _greedy(apart <= reach, missing)
    after = coverage(points, np.vstack([real, candidates[kept]]), neighbours=neighbours, reach=reach)
    outcome: Outcome = "closed" if after >= closed_at else "narrowed"
    reason = f"{len(kept)} variants cover it" if outcome == "closed" else _what_lacks(len(kept), apart, reach)
    return GapVerdict(name, outcome, before, after, tuple(kept), nearest, reach, reason)


def _greedy(near: npt.NDArray[np.bool_], missing: npt.NDArray[np.int_]) -> list[int]:
    """Return candidates, best first, until none brings a point nearer to being covered. near: (g, m)."""
    missing = np.maximum(missing, 0)
    kept: list[int] = []
    free = np.ones(near.shape[1], bool)
    while True:
        gain = near[missing > 0].sum(axis=0) * free
        if not gain.size or gain.max() == 0:
            return kept
        best = int(gain.argmax())
        kept.append(best)
        free[best] = False
        missing = np.maximum(missing - near[:, best], 0)


def _what_lacks(n_kept: int, apart: Rows, reach: float) -> str:
    """Return why a gap stays open. apart: distances (g, m) of its points to the candidates."""
    untouched = int((apart.min(axis=1) > reach).sum())
    lack = f"none comes near {untouched} of its {len(apart)} points" if untouched else "more are needed there"
    return f"{n_kept} variants land in it, but {lack}"


def distances(rows: Rows, to: Rows) -> Rows:
    """Return Euclidean distances (n, m)."""
    squared = (rows**2).sum(1)[:, None] + (to**2).sum(1)[None, :] - 2 * rows @ to.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)


def _check(real: Rows, candidates: Rows, gaps: Mapping[str, Rows]) -> None:
    for name, rows in {"candidates": candidates, **gaps}.items():
        if len(rows) and (rows.ndim != 2 or rows.shape[1] != real.shape[1]):
            raise SynthError("vectors of different length", where=name, found=str(rows.shape),
                             expected=f"(n, {real.shape[1]})")  # fmt: skip
    if empty := [name for name, rows in gaps.items() if not len(rows)]:
        raise SynthError("a gap without points", where=empty[0], expected="its centroid or the vectors of its images")
