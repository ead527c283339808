"""The page of a simulation, one HTML file without script or network: quality per label, and per unit of money."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.report.lines import Curve, LineChart, draw_lines
from activesel.report.render import format_count
from activesel.simulation.scores import Point
from activesel.simulation.story import Simulated, SimulateRequest
from activesel.simulation.summary import MEASURES, WITHIN, Series, series, summarise

HERE = Path(__file__).parent
REPORT = HERE.parent / "report"
TITLES = {"macro_f1": "macro-F1", "auprc": "average precision", "recall": "defects found at 1 % false rejects"}


def render_page(found: Simulated, request: SimulateRequest) -> str:
    """Return the page as text; names of classes, people and files come from strangers and are escaped."""
    style = "".join((REPORT / name).read_text(encoding="utf8") for name in ("page.css", "gaps.css", "lines.css"))
    summary = summarise(found)
    charts = [_chart(found, measure, _labels, "labelled images", summary.everything[measure]) for measure in MEASURES]
    charts.append(_chart(found, "macro_f1", lambda one: one.money, "money", summary.everything["macro_f1"]))
    return _environment().get_template("page.html.j2").render(
        summary=summary, request=request, oracle=found.oracle, charts=charts, main=charts[0], within=WITHIN,
        gates=_gates(found), version=__version__, style=Markup(style),
    )  # fmt: skip


def _chart(
    found: Simulated, measure: str, of: Callable[[Point], float], x_title: str, everything: float
) -> LineChart:  # fmt: skip
    curves = [
        _curve(name, series(seeds, of).means, series(seeds, lambda one: one.newest[measure]))
        for name, seeds in found.points.items()
    ]
    title = TITLES[measure] if x_title != "money" else f"{TITLES[measure]} for money"
    return draw_lines(title, x_title, curves, level=(everything, "all labels"))


def _curve(name: str, xs: tuple[float, ...], values: Series) -> Curve:
    if not all(math.isfinite(half) for half in values.halves):
        return Curve(name, xs, values.means)
    ends = [tuple(mean + sign * half for mean, half in zip(values.means, values.halves, strict=True))
            for sign in (-1, 1)]  # fmt: skip
    return Curve(name, xs, values.means, ends[0], ends[1])


def _labels(point: Point) -> float:
    return point.n_labels


def _gates(found: Simulated) -> dict[str, dict[str, int]]:
    """Return arm -> what became of its challengers -> how many."""
    counts: dict[str, dict[str, int]] = {}
    for name, seeds in found.points.items():
        said = [one.gate for points in seeds for one in points]
        counts[name] = {outcome: said.count(outcome) for outcome in sorted(set(said))}
    return counts


@functools.cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader([HERE, REPORT]), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.filters |= {"count": format_count, "any": _any}
    return environment


def _any(value: Any) -> str:
    return "never" if value is None else f"{value:.0f}"
