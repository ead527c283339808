"""Geometry of the chart of what more labels bring: the measured learning curve and where it is expected to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from activesel.report.charts import Tick, nice_ticks
from activesel.training.outlook import Worth

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1120, 320, 50, 1106, 14, 272


@dataclass(frozen=True)
class WorthChart:
    """SVG units. band, line: of the expected curve from today's labels on. marks: (x, low, y, high) of the measured
    points, their lines from low to high. batch: left and right end of the next batch. enough_x: from where on a batch
    is expected to bring too little, None where that is not on the chart.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    measured: str
    line: str
    band: str
    marks: tuple[tuple[float, float, float, float], ...]
    batch: tuple[float, float]
    now: tuple[float, float]
    next: tuple[float, float]
    enough_x: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def draw_worth(worth: Worth) -> WorthChart:
    """Lay out score over labels, from none to the last expected point."""
    widest = worth.ahead[-1].labels
    ends = [end for point in (*worth.measured, *worth.ahead) for end in (point.low, point.high)]
    low, high = max(0.0, min(ends) - 0.02), min(1.0, max(ends) + 0.02)

    def x_of(labels: float) -> float:
        return LEFT + (RIGHT - LEFT) * labels / widest

    def y_of(score: float) -> float:
        return float(BOTTOM - (BOTTOM - TOP) * (min(max(score, low), high) - low) / (high - low))

    marks = tuple((x_of(one.labels), y_of(one.low), y_of(one.score), y_of(one.high)) for one in worth.measured)
    now, after = worth.ahead[0], worth.ahead[1]
    upper = [(x_of(one.labels), y_of(one.high)) for one in worth.ahead]
    lower = [(x_of(one.labels), y_of(one.low)) for one in worth.ahead]
    is_shown = worth.enough_at is not None and worth.n_labels < worth.enough_at <= widest
    return WorthChart(
        WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM,
        measured=_path([(x, y) for x, _, y, _ in marks]),
        line=_path([(x_of(one.labels), y_of(one.score)) for one in worth.ahead]),
        band=_path([*upper, *reversed(lower)]) + "Z", marks=marks,
        batch=(x_of(now.labels), x_of(after.labels)), now=(x_of(now.labels), y_of(now.score)),
        next=(x_of(after.labels), y_of(after.score)),
        enough_x=x_of(worth.enough_at) if is_shown and worth.enough_at is not None else None,
        x_ticks=tuple(Tick(x_of(labels), f"{labels:,.0f}") for labels in nice_ticks(widest)),
        y_ticks=tuple(Tick(y_of(score), f"{score:g}") for score in _round_between(low, high)),
    )  # fmt: skip


def _round_between(low: float, high: float) -> Sequence[float]:
    """Return round numbers within low..high, about six."""
    rough = max(high - low, 0.01) / 7
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 1.0) if step >= rough - 1e-9)
    return [round(i * step, 4) for i in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
