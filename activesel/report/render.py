"""Turns ReportData into one HTML file that needs nothing else: no network, no fonts, no scripts beside its own.

File names, labels and metadata come from strangers: Jinja2 escapes them in the page, `embed_json` inside the scripts'
data, and a content security policy lets only our own script run, by its hash.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel.report.charts import CIRCLE, Layer, draw_coverage, draw_histogram, map_layers, map_payload
from activesel.report.data import PickEntry, ReportData, Thumbnailer
from activesel.report.figures import summarise_coverage
from activesel.report.worth import draw_worth
from activesel.workspace import write_atomic

SCHEMA_VERSION = 1
MAX_PICTURES = 200
MAX_PICTURE_BYTES = 5_000_000  # all pictures together; base64 adds a third, and mail servers refuse from 20 MB
MAX_PICKS = 5_000  # listed on the page; batch.csv has them all
MAX_QUARANTINED = 100
MAX_BREAKDOWN_ROWS = 12
MAX_FACET_VALUES = 60  # a column with more values, such as a time, is found by the search field
HERE = Path(__file__).parent
IMAGE_TYPES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))


@dataclass(frozen=True)
class Card:
    """A pick with its picture and that of its odd place as data: URLs, or None where there is none."""

    index: int
    pick: PickEntry
    picture: str | None
    odd_place: str | None = None


@dataclass(frozen=True)
class Facet:
    """One filter: what it looks at ("kind", "predicted", "meta.line") and the values it offers with their counts."""

    key: str
    title: str
    values: tuple[tuple[str, int], ...]


def write_report(path: Path, data: ReportData) -> None:
    """Write the report as one HTML file, atomically; below 15 MB at any budget.

    Raises:
        UnreachableError: the disk is full or the folder cannot be written.
    """
    # File names that are not UTF-8 reach us as lone surrogates; show their bytes rather than fail.
    write_atomic(path, render_report(data).encode("utf8", "backslashreplace"))


def render_report(data: ReportData) -> str:
    """Return the page as text."""
    return _environment().get_template("page.html.j2").render(_context(data))


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": format_count, "percent": format_percent, "filename": file_name, "file_url": file_url,
        "json": embed_json, "capitalise": lambda text: text[:1].upper() + text[1:],
    }  # fmt: skip
    return environment


def _context(data: ReportData) -> dict[str, Any]:
    listed = data.picks[:MAX_PICKS]
    cards, rows = _split_picks(listed, data.thumbnail, data.odd_place)
    layers: tuple[Layer, ...] = ()
    payload: dict[str, Any] | None = None
    if data.map is not None and len(data.map.xy):
        layers, of_point = map_layers(data.map, listed)
        payload = map_payload(data.map, layers, of_point)
    has_coverage = data.coverage is not None and len(data.coverage.after) > 0
    summary = summarise_coverage(data.coverage) if data.coverage is not None and has_coverage else None
    script = (HERE / "page.js").read_text(encoding="utf8")
    return {
        "data": data, "run": data.run, "cards": cards, "rows": rows, "n_hidden": len(data.picks) - len(listed),
        "has_predictions": any(pick.predicted for pick in listed),
        "facets": find_facets(listed), "score_names": _score_names(listed), "layers": layers, "map_data": payload,
        "picks_data": [_pick_payload(pick) for pick in listed],
        "coverage": summary, "coverage_chart": draw_coverage(summary) if summary else None,
        "worth_chart": draw_worth(data.worth) if data.worth else None,
        "histograms": [chart for chart in map(draw_histogram, data.scores) if chart],
        "quarantined": sum(data.quarantine.counts.values()), "max_quarantined": MAX_QUARANTINED,
        "max_breakdown_rows": MAX_BREAKDOWN_ROWS, "circle": CIRCLE, "schema_version": SCHEMA_VERSION,
        "style": Markup((HERE / "page.css").read_text(encoding="utf8")), "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }  # fmt: skip


def _split_picks(
    picks: Sequence[PickEntry], thumbnail: Thumbnailer, odd_place: Thumbnailer
) -> tuple[list[Card], list[Card]]:
    """Return the picks shown as cards, with pictures, and those listed in a table; without any picture, all of them."""
    cards: list[Card] = []
    spent = 0
    for index, pick in enumerate(picks[:MAX_PICTURES]):
        content = thumbnail(pick)
        odd = odd_place(pick) if content else None
        spent += len(content or b"") + len(odd or b"")
        if spent > MAX_PICTURE_BYTES:
            break
        cards.append(Card(index, pick, picture_url(content), picture_url(odd)))
    if not any(card.picture for card in cards):
        cards = []
    return cards, [Card(index, picks[index], None) for index in range(len(cards), len(picks))]


def picture_url(content: bytes | None) -> str | None:
    """Return image bytes as a data: URL; None for none, or for bytes that no browser would show."""
    for magic, media_type in IMAGE_TYPES:
        if content and content.startswith(magic):
            return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return None


def find_facets(picks: Sequence[PickEntry]) -> tuple[Facet, ...]:
    """Return the filters that could tell some picks from others: two values at least, MAX_FACET_VALUES at most."""
    columns = dict.fromkeys(name for pick in picks for name in pick.meta)
    found = [Facet("kind", "Kind", _tally([pick.kind for pick in picks]))]
    found.append(Facet("predicted", "Predicted", _tally([pick.predicted for pick in picks])))
    found.append(Facet("label", "Label", _tally([pick.label for pick in picks])))
    found += [Facet(f"meta.{name}", name, _tally([pick.meta.get(name) for pick in picks])) for name in columns]
    return tuple(facet for facet in found if 2 <= len(facet.values) <= MAX_FACET_VALUES)


def _tally(values: Sequence[str | None]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(value for value in values if value is not None).items()))


def _score_names(picks: Sequence[PickEntry]) -> list[str]:
    return list(dict.fromkeys(name for pick in picks for name, value in pick.scores.items() if value == value))


def _pick_payload(pick: PickEntry) -> dict[str, Any]:
    """Return what the page's script shows of one pick; NaN scores are left out, JSON has none."""
    return {
        "rank": pick.rank, "id": pick.image_id, "path": pick.path, "url": file_url(pick.path), "reason": pick.reason,
        "kind": pick.kind, "scores": {k: round(float(v), 4) for k, v in pick.scores.items() if v == v},
        "predicted": pick.predicted, "probability": pick.probability, "meta": dict(pick.meta),
        "standsFor": pick.stands_for, "label": pick.label,
    }  # fmt: skip


def embed_json(value: Any) -> Markup:
    """Return JSON that can stand inside a <script> element: nothing in it can end the element or start a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # ensure_ascii has already escaped U+2028 and U+2029, which end a line in old script engines.
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def format_count(number: int) -> str:
    """1344 -> "1,344"."""
    return f"{number:,}"


def format_percent(share: float) -> str:
    """0.784 -> "78 %"; what is not quite none or all never reads 0 % or 100 %."""
    if 0 < share < 0.01:
        return "<1\u00a0%"
    if 0.99 < share < 1:
        return ">99\u00a0%"
    return f"{share:.0%}".replace("%", "\u00a0%")


def file_name(path: str) -> str:
    """Return the last part of a path of either kind of system."""
    return PurePosixPath(path.replace("\\", "/")).name or path


def file_url(path: str) -> str | None:
    """Return a file: URL of an absolute local path; None for others, above all for names of network shares."""
    if not path.startswith("/") or path.startswith("//"):
        return None
    return "file://" + quote(path.encode("utf8", "surrogateescape"))
