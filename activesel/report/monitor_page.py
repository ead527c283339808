"""The page of `activesel monitor` as one HTML file without script or network: readings, the line, what has moved."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.records import FloatArray
from activesel.report.charts import HistogramChart, draw_histogram
from activesel.report.data import ScoreSample
from activesel.report.render import format_count, format_percent

HERE = Path(__file__).parent
EDGE = 0.005  # share of the values at either end that no histogram is widened for
BAR_WIDTH, BAR_HEIGHT = 34, 150


@dataclass(frozen=True)
class ReadingRow:
    """One reading. state: act, unknown, quiet or absent. low, high, share, limit: 0..1 for the bar, None = none."""

    monitor: str
    subject: str
    state: str
    value: str
    reason: str
    command: str
    p: float | None
    share: float | None
    low: float | None
    high: float | None
    limit: float | None


@dataclass(frozen=True)
class ShareRow:
    """A share of the line with its interval, 0..1. size: images drawn at random that it is worth."""

    name: str
    meaning: str
    share: float
    low: float
    high: float
    n: int
    size: float


@dataclass(frozen=True)
class BatchBar:
    """Labels of one batch: chosen, drawn at random, and how many of those the model had wrong."""

    chosen: int
    explored: int
    wrong: int


@dataclass(frozen=True)
class MonitorPage:
    """state: act, unknown or quiet. histograms: as draw_pair makes them. classes: name, share before, share recent."""

    title: str
    state: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    window: str
    readings: tuple[ReadingRow, ...]
    line: tuple[ShareRow, ...]
    batches: tuple[BatchBar, ...]
    histograms: tuple[HistogramChart, ...]
    classes: tuple[tuple[str, float, float], ...]


def draw_pair(name: str, before: FloatArray, recent: FloatArray) -> HistogramChart | None:
    """Lay out numbers before and recent on one scale; None where either side has none."""
    both = np.concatenate((before, recent))
    both = both[np.isfinite(both)]
    if not len(before) or not len(recent) or not len(both):
        return None
    low, high = (float(one) for one in np.quantile(both, (EDGE, 1 - EDGE)))
    wide = (high - low) or 1.0
    return draw_histogram(ScoreSample(name, (before - low) / wide, (recent - low) / wide, f"{low:.3g} to {high:.3g}"))


def render_monitor(page: MonitorPage) -> str:
    """Return the page as text; names of classes and stations come from strangers and are escaped."""
    names = ("page.css", "gaps.css", "proof.css", "qc.css", "monitor.css")
    style = "".join((HERE / name).read_text(encoding="utf8") for name in names)
    tallest = max([1, *(bar.chosen + bar.explored for bar in page.batches)])
    context: dict[str, Any] = {
        "page": page, "version": __version__, "style": Markup(style), "bars": _bars(page.batches, tallest),
        "tallest": tallest, "bar_height": BAR_HEIGHT, "bars_width": BAR_WIDTH * max(1, len(page.batches)) + 40,
    }  # fmt: skip
    return _environment().get_template("monitor.html.j2").render(context)


def _bars(batches: Sequence[BatchBar], tallest: int) -> list[dict[str, Any]]:
    scale = BAR_HEIGHT / tallest
    found = []
    for number, bar in enumerate(batches):
        chosen, explored = bar.chosen * scale, bar.explored * scale
        found.append({
            "x": 40 + number * BAR_WIDTH, "number": number + 1, "chosen_y": BAR_HEIGHT - chosen, "chosen_h": chosen,
            "explored_y": BAR_HEIGHT - chosen - explored, "explored_h": explored, "bar": bar,
        })  # fmt: skip
    return found


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": format_count, "percent": format_percent, "slim": _slim}
    return environment


def _slim(value: float) -> str:
    return f"{min(1.0, max(0.0, value)) * 300:.1f}"
