"""The page of a round that a manager reads: one HTML file, without script or network."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.report.lines import Curve, LineChart, draw_lines
from activesel.report.render import format_count
from activesel.rounds.kpis import Kpis
from activesel.rounds.record import Round

HERE = Path(__file__).parent
REPORT = HERE.parent / "report"
HEADLINES = {
    "promote": "A better model answers from now on",
    "hold": "The new model is not proved better yet",
    "reject": "The new model is worse; the old one stays",
    "": "This round is under way",
}


def render_round(current: Round, kpis: Sequence[Kpis], titles: Mapping[str, str], pictures: Sequence[str]) -> str:
    """Return the page as text; names of classes, people and files come from strangers and are escaped.

    kpis: of every round up to this one, the oldest first. titles: step -> what it does. pictures: data URLs of defects
    that the round found.
    """
    style = "".join((REPORT / name).read_text(encoding="utf8") for name in ("page.css", "gaps.css", "lines.css"))
    return _environment().get_template("round.html.j2").render(
        round=current, now=kpis[-1], kpis=kpis, charts=draw_charts(kpis), headline=HEADLINES[kpis[-1].outcome],
        titles=titles, pictures=pictures, version=__version__, style=Markup(style),
    )  # fmt: skip


def draw_charts(kpis: Sequence[Kpis]) -> list[LineChart]:
    """Return recall and money per defect over the rounds; none where there are not two rounds to draw."""
    charts = []
    measured = [one for one in kpis if one.recall is not None]
    if len(measured) > 1:
        parts = [tuple(one.recall[i] for one in measured if one.recall is not None) for i in range(3)]
        curve = Curve("recall of the round's model", tuple(float(one.number) for one in measured), *parts)
        charts.append(draw_lines("Share of defects found", "round", [curve]))
    paid = [(float(one.number), one.money_per_defect) for one in kpis if one.money_per_defect is not None]
    if len(paid) > 1:
        curve = Curve("money per defect", tuple(x for x, _ in paid), tuple(y for _, y in paid))
        charts.append(draw_lines("Money for one defect found", "round", [curve]))
    return charts


@functools.cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader([HERE, REPORT]), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    environment.filters["count"] = format_count
    return environment
