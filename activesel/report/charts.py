"""Geometry of the report's charts: numbers to SVG coordinates and layers; the templates draw them, CSS colours them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray
from activesel.report.data import COVERED, LABELLED, PICKED, UNCOVERED, Kind, MapPoints, PickEntry, ScoreSample
from activesel.report.figures import CoverageSummary, histogram_shares, median_of

# Unit shapes (radius about 1), drawn alike by the legend's SVG and the map's canvas, so that colour is never the only
# difference between two classes.
CLASS_SHAPES = (
    "M-.9,-.9H.9V.9H-.9Z",
    "M0,-1.15L1.05,.8H-1.05Z",
    "M0,-1.25L1.05,0L0,1.25L-1.05,0Z",
    "M0,1.15L1.05,-.8H-1.05Z",
    "M-.38,-1.1H.38V-.38H1.1V.38H.38V1.1H-.38V.38H-1.1V-.38H-.38Z",
    "M0,-1.2L1.14,-.37L.7,.97H-.7L-1.14,-.37Z",
    "M-1.15,0L-.58,-1H.58L1.15,0L.58,1H-.58Z",
)
CIRCLE = "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z"
CROSS = "M-.9,-.9L.9,.9M-.9,.9L.9,-.9"
PICK_SHAPES: dict[Kind, str] = {
    "strategy": CIRCLE,
    "explore": "M0,-1.25L1.25,0L0,1.25L-1.25,0Z",
    "evaluation": "M-.95,-.95H.95V.95H-.95Z",
}
KIND_NAMES: dict[Kind, str] = {"strategy": "picked", "explore": "picked at random", "evaluation": "for evaluation"}
MAX_CLASS_LAYERS = len(CLASS_SHAPES)
GRID = 10_000  # the map's coordinates are written as whole numbers 0..GRID: half the bytes, a tenth of a pixel


@dataclass(frozen=True)
class Tick:
    at: float  # SVG units
    text: str


@dataclass(frozen=True)
class CoverageChart:
    """Paths and ticks of the coverage curves. before is None at a cold start."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    before: str | None
    after: str
    gained: str
    radius_x: float
    before_y: float
    after_y: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class HistogramChart:
    """One small multiple: outlines of the pool and of the picks on a common scale, their medians as x or None."""

    name: str
    meaning: str
    width: int
    height: int
    base: int
    pool: str
    picked: str
    pool_median: float | None
    picked_median: float | None


@dataclass(frozen=True)
class Layer:
    """One legend entry of the map. colour: a CSS variable. mark: dot, cross, shape or badge."""

    text: str
    colour: str
    shape: str
    mark: str
    count: int


def draw_coverage(summary: CoverageSummary) -> CoverageChart:
    """Lay out the two curves; y is the share of the pool, x the radius from 0 to the last of the curve."""
    width, height, left, right, top, bottom = 560, 330, 46, 546, 14, 288
    widest = float(summary.radii[-1]) or 1.0
    xs = left + (right - left) * summary.radii / widest

    def y_of(share: npt.NDArray[np.float64] | float) -> Any:
        return bottom - (bottom - top) * np.asarray(share)

    before, after = y_of(summary.before), y_of(summary.after)
    return CoverageChart(
        width, height, left, right, top, bottom,
        before=None if summary.cold_start else _path(xs, before),
        after=_path(xs, after),
        gained=_path(np.concatenate([xs, xs[::-1]]), np.concatenate([after, before[::-1]])) + "Z",
        radius_x=left + (right - left) * summary.radius / widest,
        before_y=float(y_of(summary.at_radius_before)),
        after_y=float(y_of(summary.at_radius_after)),
        x_ticks=tuple(Tick(left + (right - left) * value / widest, f"{value:g}") for value in nice_ticks(widest)),
        y_ticks=tuple(Tick(float(y_of(share)), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
    )  # fmt: skip


def draw_histogram(sample: ScoreSample) -> HistogramChart | None:
    """Lay out pool and picks as shares of their own number; None where the score is known of no image."""
    width, base, top = 260, 100, 8
    pool, picked = histogram_shares(sample.pool), histogram_shares(sample.picked)
    tallest = max(pool.max(), picked.max())
    if tallest == 0:
        return None
    medians = [median_of(values) for values in (sample.pool, sample.picked)]
    places = [None if median is None else width * min(1.0, max(0.0, median)) for median in medians]
    scale = (base - top) / tallest
    return HistogramChart(
        sample.name, sample.meaning, width, base + 22, base, _steps(base - pool * scale, width, base),
        _steps(base - picked * scale, width, base), places[0], places[1],
    )  # fmt: skip


def nice_ticks(widest: float) -> list[float]:
    """Return 3 to 6 round numbers from 0 to ``widest``.

    >>> nice_ticks(0.7)
    [0.0, 0.2, 0.4, 0.6]
    """
    rough = widest / 4
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(m * power) for m in (1, 2, 5, 10) if m * power >= rough * 0.8)
    return [round(i * step, 10) for i in range(int(widest / step + 1e-9) + 1)]


def map_layers(points: MapPoints, picks: Sequence[PickEntry]) -> tuple[tuple[Layer, ...], npt.NDArray[np.int64]]:
    """Return the map's layers, bottom first, and the layer (p,) of each point; rare classes share one layer."""
    layers: list[Layer] = []
    of_point = np.zeros(len(points.roles), dtype=np.int64)

    def add(text: str, colour: str, shape: str, mark: str, members: npt.NDArray[np.bool_]) -> None:
        if members.any():
            of_point[members] = len(layers)
            layers.append(Layer(text, colour, shape, mark, int(members.sum())))

    add("covered", "--covered", CIRCLE, "dot", points.roles == COVERED)
    add("uncovered", "--uncovered", CROSS, "cross", points.roles == UNCOVERED)
    labelled = points.roles == LABELLED
    shown = _frequent_classes(points, labelled)
    for place, code in enumerate(shown):
        add(
            points.class_names[code],
            f"--class{place}",
            CLASS_SHAPES[place],
            "shape",
            labelled & (points.classes == code),
        )
    rest = "labelled, other" if shown else "labelled"
    add(rest, "--class-rest", CIRCLE, "shape", labelled & ~np.isin(points.classes, shown))
    kind_of = {pick.rank: pick.kind for pick in picks}
    kinds = np.array([kind_of.get(int(rank), "strategy") for rank in points.ranks], dtype=object)
    for kind, shape in PICK_SHAPES.items():
        add(KIND_NAMES[kind], "--pick", shape, "badge", (points.roles == PICKED) & (kinds == kind))
    return tuple(layers), of_point


def map_payload(points: MapPoints, layers: Sequence[Layer], of_point: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return what the page's script needs to draw the map, in few bytes."""
    grid = np.rint(np.clip(points.xy, 0.0, 1.0) * GRID).astype(int)
    return {
        "x": grid[:, 0].tolist(),
        "y": grid[:, 1].tolist(),
        "layer": of_point.tolist(),
        "rank": points.ranks.tolist(),
        "names": list(points.names),
        "layers": [{"text": x.text, "colour": x.colour, "shape": x.shape, "mark": x.mark} for x in layers],
    }


def _frequent_classes(points: MapPoints, labelled: npt.NDArray[np.bool_]) -> list[int]:
    """Return at most MAX_CLASS_LAYERS class codes, the most frequent ones, in the order of the class names."""
    codes = points.classes[labelled]
    counts = np.bincount(codes[codes >= 0], minlength=len(points.class_names))
    frequent = np.argsort(-counts, kind="stable")[:MAX_CLASS_LAYERS]
    return sorted(int(code) for code in frequent if counts[code] > 0)


def _path(xs: FloatArray, ys: FloatArray) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))


def _steps(tops: FloatArray, width: int, base: int) -> str:
    """Return the outline of bars that touch, closed at the base line."""
    edges = np.linspace(0, width, len(tops) + 1)
    steps = [f"V{top:.1f}H{right:.1f}" for top, right in zip(tops, edges[1:], strict=True)]
    return f"M0,{base}" + "".join(steps) + f"V{base}Z"
