"""The numbers behind the report's charts: coverage, histograms, breakdowns, map roles. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray
from activesel.report.data import COVERED, LABELLED, PICKED, UNCOVERED, Breakdown, BreakdownRow, Coverage

N_RADII = 81
N_BINS = 20
QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class CoverageSummary:
    """Coverage as a curve, at one radius and as distances. Shares 0..1; ``before`` is all zero without labels.

    radii, before, after: (r,) points of the curve. at_radius_*: the share within ``radius``.
    distances: (share of the pool, distance before or None, distance after) - that share lies within that distance;
    None where nothing is known yet.
    """

    radius: float
    radii: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    at_radius_before: float
    at_radius_after: float
    distances: tuple[tuple[float, float | None, float | None], ...]
    cold_start: bool

    @property
    def uncovered(self) -> float:
        """Share of the pool that stays farther than the radius from everything labelled or picked."""
        return 1.0 - self.at_radius_after


def coverage_curve(nearest: FloatArray, radii: FloatArray) -> npt.NDArray[np.float64]:
    """Return the share (r,) of images whose nearest known image is within each radius; inf is never covered.

    >>> coverage_curve(np.array([0.0, 0.1, 0.3, np.inf]), np.array([0.0, 0.1, 0.5])).tolist()
    [0.25, 0.5, 0.75]
    """
    if len(nearest) == 0:
        return np.zeros(len(radii))
    ordered = np.sort(np.asarray(nearest, dtype=np.float64))
    return np.searchsorted(ordered, np.asarray(radii, dtype=np.float64), side="right") / len(ordered)


def summarise_coverage(coverage: Coverage) -> CoverageSummary:
    """Return the curve up to where it levels off (99 % of the images before the batch), and the headline shares."""
    after = np.asarray(coverage.after, dtype=np.float64)
    cold_start = coverage.before is None or not np.isfinite(coverage.before).any()
    before = np.full(len(after), np.inf) if coverage.before is None else np.asarray(coverage.before, dtype=np.float64)
    widest = [_quantile(after, 0.99), _quantile(before, 0.99)]
    radii = np.linspace(0.0, max([coverage.radius * 1.6, *(d for d in widest if d is not None)]), N_RADII)
    at_radius = np.array([coverage.radius])
    return CoverageSummary(
        radius=coverage.radius,
        radii=radii,
        before=coverage_curve(before, radii),
        after=coverage_curve(after, radii),
        at_radius_before=float(coverage_curve(before, at_radius)[0]),
        at_radius_after=float(coverage_curve(after, at_radius)[0]),
        distances=tuple((q, _quantile(before, q), _quantile(after, q)) for q in QUANTILES),
        cold_start=cold_start,
    )


def _quantile(values: npt.NDArray[np.float64], share: float) -> float | None:
    """Return the distance within which ``share`` of the values lie; None for none, or where that is infinite."""
    if len(values) == 0:
        return None
    found = float(np.quantile(values, share, method="inverted_cdf"))  # interpolating would make inf - inf
    return found if np.isfinite(found) else None


def histogram_shares(values: FloatArray, n_bins: int = N_BINS) -> npt.NDArray[np.float64]:
    """Return the share (n_bins,) of the finite values in each equal bin of 0..1, both ends included; zeros for none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    counts, _ = np.histogram(np.clip(known, 0.0, 1.0), bins=n_bins, range=(0.0, 1.0))
    return counts / max(1, len(known))


def median_of(values: FloatArray) -> float | None:
    """Return the median of the finite values, None where there are none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else None


def count_breakdown(
    column: str, codes: IntArray, values: Sequence[str], *, labelled: IntArray, picked: IntArray
) -> Breakdown:
    """Count each of the pool's values over all n rows, over the labelled and over the picked ones.

    codes: (n,) index into values, -1 = none.
    """
    names = [*values, "(none)"]
    places = np.where(codes < 0, len(values), codes)
    pool, known, chosen = (np.bincount(at, minlength=len(names)) for at in (places, places[labelled], places[picked]))
    ordered = sorted(np.flatnonzero(pool).tolist(), key=lambda i: (-pool[i], names[i]))
    return Breakdown(column, tuple(BreakdownRow(names[i], int(pool[i]), int(known[i]), int(chosen[i]))
                                   for i in ordered))  # fmt: skip


def assign_roles(
    nearest: FloatArray, radius: float, *, labelled: IntArray, picked: IntArray
) -> npt.NDArray[np.int8]:  # fmt: skip
    """Return the map role (n,) of each row; nearest: (n,) distance to the nearest labelled or picked image."""
    roles = np.where(np.asarray(nearest) <= radius, COVERED, UNCOVERED).astype(np.int8)
    roles[labelled] = LABELLED
    roles[picked] = PICKED
    return roles
