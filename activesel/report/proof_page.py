"""The page of `activesel synth prove` as one HTML file without script or network: the verdict and what it rests on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.report.render import format_count, picture_url

HERE = Path(__file__).parent
LEAST_SPAN = 0.05  # of the axis of changes, to either side of 0


@dataclass(frozen=True)
class PrecisionRow:
    """Average precision of one class, 0..1. values: in the order of the page's arms. is_proved: the set's class."""

    name: str
    values: tuple[float, ...]
    is_proved: bool


@dataclass(frozen=True)
class ChangeRow:
    """Variants minus a rival: mean and 95 % interval. least: what its lower end must reach. ok: it does."""

    name: str
    rival: str
    mean: float
    low: float
    high: float
    least: float
    ok: bool


@dataclass(frozen=True)
class ProofPage:
    """refused: what the rules on the whole set say against it. accepted: why somebody lets it pass all the same.
    pictures: strips of variants, JPEG bytes: image, defect, outline, host. siblings: of a class too rare to be judged,
    changes on others cut to as many groups, from the least draw to the most."""

    label: str
    folder: str
    is_promoted: bool
    outcome: str
    reason: str
    n_images: int
    n_groups: int
    share: float
    shares: tuple[float, ...]
    arms: tuple[str, ...]
    precision: tuple[PrecisionRow, ...]
    changes: tuple[ChangeRow, ...]
    refused: tuple[str, ...]
    accepted: str | None
    pictures: tuple[bytes, ...]
    notes: tuple[str, ...]
    siblings: tuple[ChangeRow, ...] = ()


def render_proof(page: ProofPage) -> str:
    """Return the page as text; names of classes and files come from strangers and are escaped."""
    names = ("page.css", "gaps.css", "proof.css")
    style = "".join((HERE / name).read_text(encoding="utf8") for name in names)
    span = find_span([*page.changes, *page.siblings])
    context: dict[str, Any] = {"page": page, "version": __version__, "style": Markup(style), "span": span}
    return _environment().get_template("proof.html.j2").render(context)


def find_span(changes: Sequence[ChangeRow]) -> float:
    """Return how far the axis of changes goes to either side of 0, so that every interval fits."""
    return max([LEAST_SPAN, *(1.05 * max(abs(one.low), abs(one.high)) for one in changes)])


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": format_count, "picture": picture_url, "signed": "{:+.3f}".format}
    return environment
