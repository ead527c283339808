"""The page of a benchmark as one HTML file without script or network, and its main chart as SVG."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from activesel import __version__
from activesel.benchmark.charts import MEDIUM, SMALL, assign_looks, draw_curves, draw_differences, format_signed
from activesel.benchmark.outcome import DEFECTS, REFERENCE, SCORES, Estimate
from activesel.benchmark.story import BenchResult
from activesel.report.render import format_count, format_percent

HERE = Path(__file__).parent
REPORT_STYLE = HERE.parent / "report" / "page.css"
MAX_CLASSES = 12  # in the table of recalls; bench.json has them all
MAX_AGAINST = 24  # small charts, strategy by strategy
TITLES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "auprc": "AUPRC"}


def render_page(result: BenchResult) -> str:
    """Return the page as text; names of classes and files come from strangers and are escaped."""
    return _environment().get_template("page.html.j2").render(_context(result))


def render_chart(result: BenchResult) -> str:
    """Return the learning curves of macro-F1 with their legend as a file of their own."""
    return _environment().get_template("curves.svg.j2").render(_context(result))


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": format_count, "percent": format_percent, "estimate": format_estimate,
                            "signed": format_signed}  # fmt: skip
    return environment


def format_estimate(value: Estimate, digits: int = 3) -> str:
    """0.581 ± 0.034; from one seed the mean alone."""
    return f"{value.mean:.{digits}f}" + ("" if value.half is None else f"\u00a0±\u00a0{value.half:.{digits}f}")


def _context(result: BenchResult) -> dict[str, Any]:
    standings, dataset = result.standings, result.dataset
    looks = assign_looks(standings)
    best = next((one for one in standings if one.strategy != REFERENCE), standings[0])
    reference = next(one for one in standings if one.strategy == REFERENCE)
    few = {one.strategy for one in standings} if len(standings) <= 4 else {best.strategy, REFERENCE}
    counts = np.bincount(dataset.classes, minlength=len(dataset.class_names))
    rare_first = list(best.recall)
    own_style = (HERE / "bench.css").read_text(encoding="utf8")
    return {
        "request": result.request, "protocol": result.request.protocol, "result": result, "standings": standings,
        "looks": looks, "best": best, "reference": reference, "n_images": len(dataset.vectors),
        "title": Path(result.request.source).name or result.request.source, "reference_name": REFERENCE,
        "n_defects": int(counts.sum() - counts[dataset.class_names.index(result.good)]),
        "n_groups": len(np.unique(dataset.groups)),
        "counts": dict(zip(dataset.class_names, counts.tolist(), strict=True)),
        "banded": few, "titles": TITLES, "version": __version__, "rare_first": rare_first[:MAX_CLASSES],
        "n_classes": len(rare_first),
        "main": draw_curves("macro-F1", standings, looks, "macro_f1", few),
        "others": [draw_curves(TITLES[score], standings, looks, score, few, MEDIUM) for score in SCORES[1:]],
        "against_charts": [
            draw_curves(one.strategy, [one, reference], looks, "macro_f1", {one.strategy, REFERENCE}, SMALL)
            for one in standings if one.strategy != REFERENCE][:MAX_AGAINST],
        "defects": draw_curves("defects found", standings, looks, DEFECTS, few),
        "dots": draw_differences(standings, looks),
        "best_recall": {name: max(one.recall[name].mean for one in standings) for name in rare_first},
        "style": Markup(REPORT_STYLE.read_text(encoding="utf8") + own_style), "own_style": Markup(own_style),
    }  # fmt: skip
