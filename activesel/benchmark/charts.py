"""Geometry of the benchmark's charts: standings to SVG coordinates; the templates draw them, CSS colours them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from activesel.benchmark.outcome import DEFECTS, REFERENCE, Estimate, Standing
from activesel.report.charts import CIRCLE, CLASS_SHAPES, Tick

N_COLOURS = 7  # --s0 .. --s6 in bench.css
DASHES = ("", "9 4", "3 3", "9 3 2 3")
SHAPES = (CIRCLE, *CLASS_SHAPES)
REFERENCE_LOOK = "5 5"


@dataclass(frozen=True)
class Look:
    """How one strategy is drawn everywhere: no two share colour, dash and mark, so colour alone never tells."""

    colour: str
    dash: str
    shape: str


@dataclass(frozen=True)
class Series:
    """One mean curve. band: outline of its 95 % interval, "" for none. marks: (x, y) of its points."""

    name: str
    look: Look
    line: str
    band: str
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CurveChart:
    """A frame in SVG units with its ticks and curves, the last drawn on top."""

    title: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    mark: float
    has_x_title: bool


@dataclass(frozen=True)
class Size:
    """Of a chart in SVG units; foot: room under the frame. mark: radius of a point."""

    width: int
    height: int
    left: int
    foot: int
    x_ticks: int
    y_ticks: int
    mark: float


LARGE = Size(1100, 430, 50, 44, 12, 6, 4.5)
MEDIUM = Size(600, 300, 46, 44, 9, 5, 4.0)
SMALL = Size(300, 190, 36, 26, 4, 4, 3.0)


@dataclass(frozen=True)
class Strip:
    """One row of the dot plot, in units of ``WIDTH``: every seed's difference, their mean and its interval."""

    standing: Standing
    look: Look
    dots: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class DotPlot:
    """Differences to random on one scale. zero: where there is none."""

    width: int
    zero: float
    ticks: tuple[Tick, ...]
    strips: tuple[Strip, ...]


def assign_looks(standings: Sequence[Standing]) -> dict[str, Look]:
    """Return the look of each strategy, random's always the same grey."""
    looks = {REFERENCE: Look("var(--reference)", REFERENCE_LOOK, CIRCLE)}
    others = [one.strategy for one in standings if one.strategy != REFERENCE]
    for i, name in enumerate(others):
        turn, colour = divmod(i, N_COLOURS)  # the second seven have other dashes and marks
        dash, shape = DASHES[(colour + turn) % len(DASHES)], SHAPES[(colour + 3 * turn) % len(SHAPES)]
        looks[name] = Look(f"var(--s{colour})", dash, shape)
    return looks


def draw_curves(
    title: str, standings: Sequence[Standing], looks: dict[str, Look], score: str, banded: set[str], size: Size = LARGE
) -> CurveChart:
    """Lay out the mean curves of one score, best on top; ``banded`` strategies with their intervals."""
    width, height, left, top = size.width, size.height, size.left, 12
    right, bottom = width - 12, height - size.foot
    shown = [one for one in reversed(standings) if score in one.curves]
    low, high = _range_of(shown, score, banded)
    first, last = shown[0].labels[0], shown[0].labels[-1]

    def x_of(labels: float) -> float:
        return left + (right - left) * (labels - first) / max(last - first, 1)

    def y_of(value: float) -> float:
        return bottom - (bottom - top) * (min(max(value, low), high) - low) / (high - low)

    series = []
    for one in shown:
        points = one.curves[score]
        xs = [x_of(labels) for labels in one.labels]
        marks = tuple((x, y_of(point.mean)) for x, point in zip(xs, points, strict=True))
        band = _band(xs, points, y_of) if one.strategy in banded else ""
        series.append(Series(one.strategy, looks[one.strategy], _path(marks), band, marks))
    shown_labels = shown[0].labels[:: -(-len(shown[0].labels) // size.x_ticks)]
    return CurveChart(
        title, width, height, left, right, top, bottom,
        tuple(Tick(x_of(labels), f"{labels:,}") for labels in shown_labels),
        tuple(Tick(y_of(value), f"{value:g}") for value in ticks_between(low, high, size.y_ticks)), tuple(series),
        size.mark, size.foot > SMALL.foot,
    )  # fmt: skip


def draw_differences(standings: Sequence[Standing], looks: dict[str, Look]) -> DotPlot:
    """Lay out area of macro-F1 minus random's, seed by seed, best first."""
    width, edge = 420, 12
    others = [one for one in standings if one.strategy != REFERENCE]
    values = [value for one in others for value in (*one.differences, *_ends(_difference(one)))]
    low, high = min([0.0, *values]), max([0.0, *values])
    spread = (high - low) or 1.0

    def x_of(value: float) -> float:
        return edge + (width - 2 * edge) * (value - low) / spread

    strips = []
    for one in others:
        mean = _difference(one)
        ends = _ends(mean)
        low_x, high_x = (x_of(ends[0]), x_of(ends[1])) if mean.half is not None else (None, None)
        dots = tuple(x_of(value) for value in one.differences)
        strips.append(Strip(one, looks[one.strategy], dots, x_of(mean.mean), low_x, high_x))
    ticks = tuple(Tick(x_of(value), format_signed(value)) for value in ticks_between(low, high, 5))
    return DotPlot(width, x_of(0.0), ticks, tuple(strips))


def format_signed(value: float, spec: str = "+g") -> str:
    """0.1 -> "+0.1", with a minus as long as the plus; 0 -> "0"."""
    return format(value, spec).replace("-", "−") if value else "0"


def ticks_between(low: float, high: float, most: int) -> list[float]:
    """Return up to about ``most`` round numbers within low..high.

    >>> ticks_between(0.13, 0.61, 5)
    [0.2, 0.3, 0.4, 0.5, 0.6]
    """
    rough = max(high - low, 1e-9) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(m * power) for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [round(i * step, 10) + 0.0 for i in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]


def _range_of(shown: Sequence[Standing], score: str, banded: set[str]) -> tuple[float, float]:
    ends = [end for one in shown for point in one.curves[score]
            for end in (_ends(point) if one.strategy in banded else (point.mean,))]  # fmt: skip
    low, high = min(ends), max(ends)
    low, high = (0.0, high) if score == DEFECTS else (max(low, 0.0), min(high, 1.0))
    room = 0.03 * ((high - low) or 1.0)
    return low - (room if low > 0 else 0.0), high + room


def _difference(one: Standing) -> Estimate:
    compared = one.against[REFERENCE]
    return Estimate(compared.difference, compared.half if np.isfinite(compared.half) else None)


def _ends(point: Estimate) -> tuple[float, float]:
    half = point.half or 0.0
    return point.mean - half, point.mean + half


def _band(xs: Sequence[float], points: Sequence[Estimate], y_of: Callable[[float], float]) -> str:
    if any(point.half is None for point in points):
        return ""
    upper = [(x, y_of(_ends(point)[1])) for x, point in zip(xs, points, strict=True)]
    lower = [(x, y_of(_ends(point)[0])) for x, point in zip(xs, points, strict=True)]
    return _path([*upper, *reversed(lower)]) + "Z"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
