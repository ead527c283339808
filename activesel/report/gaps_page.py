"""The page of `activesel gaps` as one HTML file without script or network: what to do, with its picture and reasons."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.gaps import ACTIONS
from activesel.report.render import format_count, format_percent

HERE = Path(__file__).parent
POOL, FAR, LABELLED, MISSED = 0, 1, 2, 3  # roles of a point
N_OPEN = 10  # gaps shown at once, the rest on demand
MAP_WIDTH, MAP_HEIGHT, MAP_EDGE = 760, 520, 16


@dataclass(frozen=True)
class GapCard:
    """One gap as it is shown. what: class or slice with the kind. pictures: JPEG bytes. command: "" for none."""

    rank: int
    action: str
    what: str
    kind: str
    have: str
    need: str
    missing: int
    priority: float
    reason: str
    command: str
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Bar:
    """Images of one class or slice: labelled, likely in the pool, wanted."""

    name: str
    labelled: int
    likely: int
    wanted: int


@dataclass(frozen=True)
class RecallRow:
    """Recall on parts held out, with its interval, and what is wanted (None = nothing)."""

    name: str
    value: float
    low: float
    high: float
    wanted: float | None
    tested: int


@dataclass(frozen=True)
class GapMap:
    """xy: (p, 2) places, 0..1. roles: (p,) POOL, FAR, LABELLED or MISSED. marks: (x, y, rank of the gap there)."""

    xy: npt.NDArray[np.float32]
    roles: npt.NDArray[np.int8]
    marks: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class GapsPage:
    title: str
    n_images: int
    n_labelled: int
    n_pool: int
    n_gold: int
    covered: float  # share of the pool near a labelled image
    confidence: float
    false_rejects: float
    cards: tuple[GapCard, ...]
    bars: tuple[Bar, ...]
    recalls: tuple[RecallRow, ...]
    map: GapMap | None
    notes: tuple[str, ...]
    requirements: str


def render_gaps(page: GapsPage) -> str:
    """Return the page as text; names of classes and files come from strangers and are escaped."""
    style = (HERE / "page.css").read_text(encoding="utf8") + (HERE / "gaps.css").read_text(encoding="utf8")
    context = {
        "page": page, "version": __version__, "style": Markup(style), "actions": count_actions(page.cards),
        "widest": max([1, *(bar.wanted for bar in page.bars), *(bar.labelled for bar in page.bars)]),
        "dots": _dots(page.map), "marks": _marks(page.map), "map_width": MAP_WIDTH, "map_height": MAP_HEIGHT,
        "n_open": N_OPEN,
    }  # fmt: skip
    return _environment().get_template("gaps.html.j2").render(context)


def count_actions(cards: Sequence[GapCard]) -> dict[str, int]:
    """Count the gaps of each action, cheapest first; those without any left out."""
    counts = {action: sum(card.action == action for card in cards) for action in ACTIONS}
    return {action: count for action, count in counts.items() if count}


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": format_count, "percent": format_percent, "picture": _picture, "slug": _slug}
    return environment


def _picture(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def _slug(text: str) -> str:
    return text.replace(" ", "-")


def _place(x: float, y: float) -> tuple[float, float]:
    return (MAP_EDGE + x * (MAP_WIDTH - 2 * MAP_EDGE), MAP_EDGE + (1 - y) * (MAP_HEIGHT - 2 * MAP_EDGE))


def _dots(shown: GapMap | None) -> dict[int, list[tuple[float, float]]]:
    """Points by role, in SVG units; what matters is drawn last."""
    found: dict[int, list[tuple[float, float]]] = {role: [] for role in (POOL, FAR, LABELLED, MISSED)}
    if shown is not None:
        for (x, y), role in zip(shown.xy.tolist(), shown.roles.tolist(), strict=True):
            found[role].append(_place(x, y))
    return found


def _marks(shown: GapMap | None) -> list[dict[str, Any]]:
    if shown is None:
        return []
    places = [(*_place(x, y), rank) for x, y, rank in shown.marks]
    return [{"x": x, "y": y, "rank": rank} for x, y, rank in places]
