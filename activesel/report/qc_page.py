"""The page of `activesel qc` as one HTML file without script or network: verdict, agreement, the queue of an expert."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.agreement import Agreement
from activesel.qualitygate import GoldScore
from activesel.report.render import format_count

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tile:
    name: str
    value: str
    note: str


@dataclass(frozen=True)
class AgreementRow:
    """is_first: of its kind, which is then named."""

    kind: str
    name: str
    agreement: Agreement
    is_first: bool


@dataclass(frozen=True)
class QueueCard:
    """One image that waits for an expert. picture: a data: URL, None where the file is gone."""

    rank: int
    code: str
    reasons: tuple[str, ...]
    path: str
    picture: str | None


@dataclass(frozen=True)
class QcPage:
    """verdict: pass, fail or inconclusive. table: counts by class, empty for none; first, second: whose they are."""

    title: str
    verdict: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]
    least_kappa: float
    least_gold: float
    rows: tuple[AgreementRow, ...]
    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    first: str
    second: str
    gold: tuple[GoldScore, ...]
    cases: tuple[QueueCard, ...]
    n_queue: int


def render_qc(page: QcPage) -> str:
    """Return the page as text; names of classes, people and files come from strangers and are escaped."""
    names = ("page.css", "gaps.css", "proof.css", "qc.css")
    style = "".join((HERE / name).read_text(encoding="utf8") for name in names)
    context: dict[str, Any] = {"page": page, "version": __version__, "style": Markup(style)}
    return _environment().get_template("qc.html.j2").render(context)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": format_count, "three": _say_three}
    return environment


def _say_three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
