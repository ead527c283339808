"""The page of `activesel evaluate` as one HTML file without script or network: figures, curve, mistakes in pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.diagrams import AtRate, Bin, Reliability
from activesel.proof import Interval
from activesel.report.qc_page import Tile
from activesel.report.render import format_count

HERE = Path(__file__).parent
CURVE_PX = (520, 300)  # width, height
_LEAST_AXIS = 0.02  # of the false-reject axis: the part that anybody runs at, not all of 0..1


@dataclass(frozen=True)
class Bar:
    """A row with an interval 0..1 drawn, and a second figure beside it. n: groups."""

    name: str
    n: int
    shown: Interval | None
    beside: Interval | None


@dataclass(frozen=True)
class Picture:
    """picture: a data: URL, None where the file is gone."""

    picture: str | None
    note: str
    file: str


@dataclass(frozen=True)
class Mistake:
    name: str
    n: int
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Curve:
    """path: of recall over false rejects, as SVG. x_max: where the axis of false rejects ends. point: (x, y) in pixels
    of the threshold, cross: its interval (x low, x high, y low, y high)."""

    path: str
    x_max: float
    point: tuple[float, float]
    cross: tuple[float, float, float, float]


@dataclass(frozen=True)
class BinMark:
    """One bin in pixels. point: (x, y), cross: (x of its least and greatest probability, y of its interval's ends)."""

    point: tuple[float, float]
    cross: tuple[float, float, float, float]
    bin: Bin


@dataclass(frozen=True)
class ReliabilityChart:
    """title: what the probability is of."""

    title: str
    error: Interval
    marks: tuple[BinMark, ...]


@dataclass(frozen=True)
class EvaluationPage:
    """found: share of each class that is called a defect, beside it its AUPRC; named: F1 of each class, and its AUPRC.
    parts, slices: recall, and beside it the false-reject rate. confusion: true class by row. curve: None without a good
    class. rates: beside it, what other thresholds would give."""

    title: str
    lead: str
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]
    found: tuple[Bar, ...]
    named: tuple[Bar, ...]
    parts: tuple[Bar, ...]
    slices: tuple[Bar, ...]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    curve: Curve | None
    rates: tuple[AtRate, ...]
    reliability: tuple[ReliabilityChart, ...]
    mistakes: tuple[Mistake, ...]
    test_set: str


def draw_curve(points: npt.NDArray[np.float64], at: Interval | None, recall: Interval | None) -> Curve | None:
    """Return the curve of (k, 2) false-reject rates and recalls, its axis cut where nobody runs a line."""
    if at is None or recall is None:
        return None
    width, height = CURVE_PX
    x_max = min(1.0, max(_LEAST_AXIS, 3 * at.high))
    x, y = width / x_max, height
    steps, last = [], 0.0
    for rejects, found in points.tolist():
        steps.append(f"H{x * min(rejects, x_max):.1f}V{y * (1 - (last if rejects > x_max else found)):.1f}")
        last = found if rejects <= x_max else last
    cross = (x * at.low, x * min(at.high, x_max), y * (1 - recall.low), y * (1 - recall.high))
    return Curve(f"M0,{height}" + "".join(steps), x_max, (x * at.value, y * (1 - recall.value)), cross)


def draw_reliability(title: str, found: Reliability) -> ReliabilityChart:
    """Return the bins in pixels, probability from left to right, observed share from the foot up, both 0..1."""
    width, height = CURVE_PX

    def mark(one: Bin) -> BinMark:
        seen = one.observed
        cross = (width * one.low, width * one.high, height * (1 - seen.low), height * (1 - seen.high))
        return BinMark((width * one.predicted, height * (1 - seen.value)), cross, one)

    return ReliabilityChart(title, found.error, tuple(mark(one) for one in found.bins))


def render_evaluation(page: EvaluationPage) -> str:
    """Return the page as text; names of classes and files come from strangers and are escaped."""
    names = ("page.css", "gaps.css", "proof.css", "qc.css", "evaluation.css")
    style = "".join((HERE / name).read_text(encoding="utf8") for name in names)
    context: dict[str, Any] = {"page": page, "version": __version__, "style": Markup(style), "size": CURVE_PX}
    return _environment().get_template("evaluation.html.j2").render(context)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": format_count, "three": "{:.3f}".format, "px": "{:.1f}".format}
    return environment
