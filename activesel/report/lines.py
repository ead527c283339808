"""Curves with bands as SVG geometry: values in, coordinates out; lines.html.j2 draws them, lines.css colours them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from activesel.report.charts import CIRCLE, CLASS_SHAPES, Tick

DASHES = ("", "9 4", "3 3", "9 3 2 3", "1 4")
SHAPES = (CIRCLE, *CLASS_SHAPES)
N_COLOURS = 5  # --l0 .. --l4 in lines.css
_LEFT, _TOP, _FOOT, _RIGHT = 52, 14, 44, 16


@dataclass(frozen=True)
class Curve:
    """Points of one curve, x ascending. lows, highs: its interval at each point, empty for none; nan = unknown."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()


@dataclass(frozen=True)
class DrawnCurve:
    """A curve in SVG units. No two of a chart share colour, dash and mark, so that colour alone never tells."""

    name: str
    colour: str
    dash: str
    shape: str
    line: str
    band: str
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class LineChart:
    """A frame with its ticks and curves. level: height of a horizontal line and what it is, None for none."""

    title: str
    x_title: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[DrawnCurve, ...]
    level: Tick | None


def draw_lines(
    title: str, x_title: str, curves: Sequence[Curve], *, level: tuple[float, str] | None = None, width: int = 620,
    height: int = 320,
) -> LineChart:  # fmt: skip
    """Lay curves out in one frame that holds all of them and their bands. level: a value to compare with, its name."""
    values = [v for one in curves for v in (*one.ys, *one.lows, *one.highs) if math.isfinite(v)]
    values += [level[0]] if level is not None else []
    xs = [x for one in curves for x in one.xs]
    x_low, x_high = _span(xs)
    y_low, y_high = _span(values)
    right, bottom = width - _RIGHT, height - _FOOT

    def x_of(value: float) -> float:
        return _LEFT + (value - x_low) / (x_high - x_low) * (right - _LEFT)

    def y_of(value: float) -> float:
        return bottom - (value - y_low) / (y_high - y_low) * (bottom - _TOP)

    drawn = []
    for number, one in enumerate(curves):
        marks = [(x_of(x), y_of(y)) for x, y in zip(one.xs, one.ys, strict=True) if math.isfinite(y)]
        dash, shape = DASHES[number % len(DASHES)], SHAPES[number % len(SHAPES)]
        drawn.append(DrawnCurve(one.name, f"var(--l{number % N_COLOURS})", dash, shape, _path(marks),
                                _band(one, x_of, y_of), tuple(marks)))  # fmt: skip
    return LineChart(
        title, x_title, width, height, _LEFT, right, _TOP, bottom,
        tuple(Tick(x_of(value), f"{value:g}") for value in ticks_between(x_low, x_high)),
        tuple(Tick(y_of(value), f"{value:g}") for value in ticks_between(y_low, y_high)),
        tuple(drawn), None if level is None else Tick(y_of(level[0]), level[1]),
    )  # fmt: skip


def ticks_between(low: float, high: float) -> list[float]:
    """Return 3 to 8 round numbers from ``low`` to ``high``.

    >>> ticks_between(0.12, 0.9)
    [0.2, 0.4, 0.6, 0.8]
    """
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.8)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return ends a little outside of all values; (0, 1) of none, and room around a single one."""
    if not values:
        return 0.0, 1.0
    low, high = float(np.min(values)), float(np.max(values))
    room = 0.04 * (high - low) if high > low else max(abs(low) * 0.1, 0.5)
    return (low - room if low != 0 else low), high + room


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) if points else ""


def _band(one: Curve, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> str:
    known = [(x, low, high) for x, low, high in zip(one.xs, one.lows, one.highs, strict=False)
             if math.isfinite(low) and math.isfinite(high)]  # fmt: skip
    if len(known) < 2:
        return ""
    there = [(x_of(x), y_of(high)) for x, _, high in known]
    return _path([*there, *((x_of(x), y_of(low)) for x, low, _ in reversed(known))]) + "Z"
