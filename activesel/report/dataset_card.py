"""The card of a dataset version, as Markdown and as one HTML file without script: what is in it, and from whom."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.report.render import format_count, format_percent

HERE = Path(__file__).parent


@dataclass(frozen=True)
class CardRow:
    """One class, state or origin: images on each side, and of how many groups."""

    name: str
    train: int
    validation: int
    test: int
    groups: int

    @property
    def total(self) -> int:
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class CardGap:
    name: str
    action: str
    missing: int
    reason: str


@dataclass(frozen=True)
class DatasetCard:
    """n_drawn: of the test images, those of the evaluation stream. kappa: a sentence, "" where nobody measured it.
    licence: "" where none is set. left_out: reason -> images. gaps: None where nobody looked for any."""

    name: str
    version: str
    made: str
    licence: str
    kappa: str
    n_images: int
    n_groups: int
    n_drawn: int
    classes: tuple[CardRow, ...]
    states: tuple[CardRow, ...]
    origins: tuple[CardRow, ...]
    left_out: Mapping[str, int]
    sets: tuple[str, ...]
    gaps: tuple[CardGap, ...] | None
    notes: tuple[str, ...]
    rules: tuple[str, ...]


def render_card_html(card: DatasetCard) -> str:
    """Return the page; names of classes and files come from strangers and are escaped."""
    style = "".join((HERE / name).read_text(encoding="utf8") for name in ("page.css", "gaps.css"))
    context = {"card": card, "version": __version__, "style": Markup(style)}
    return _environment(escapes=True).get_template("dataset_card.html.j2").render(context)


def render_card_markdown(card: DatasetCard) -> str:
    """Return the same as Markdown; what would start a table cell or a tag is written so that it does not."""
    return _environment(escapes=False).get_template("dataset_card.md.j2").render({"card": card, "version": __version__})


@functools.cache
def _environment(*, escapes: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=escapes, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"count": format_count, "percent": format_percent, "cell": _cell}
    return environment


def _cell(text: str) -> str:
    """One line of Markdown that holds no markup.

    >>> _cell("a|b<c>")
    'a\\\\|b\\\\<c>'
    """
    return "".join(f"\\{sign}" if sign in "\\`*_[]<|#" else sign for sign in " ".join(str(text).split()))
