"""What a benchmark leaves: bench.json (everything), curves.csv (tidy), the page and its main chart."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from activesel.benchmark.kept import SCHEMA_VERSION, digest
from activesel.benchmark.outcome import Standing
from activesel.benchmark.page import render_chart, render_page
from activesel.benchmark.peers import version_of
from activesel.benchmark.picture import draw_picture
from activesel.benchmark.story import BenchResult
from activesel.workspace import write_atomic, write_json


def write_files(result: BenchResult, folder: Path) -> None:
    """Write all files of a benchmark; each appears whole, bench.json last.

    Raises:
        UnreachableError: the disk is full.
    """
    write_atomic(folder / "curves.csv", write_curves(result).encode("utf8", "backslashreplace"))
    write_atomic(folder / "curves.png", draw_picture(result))
    write_atomic(folder / "curves.svg", render_chart(result).encode("utf8", "backslashreplace"))
    write_atomic(folder / "bench.html", render_page(result).encode("utf8", "backslashreplace"))
    write_json(folder / "bench.json", as_json(result))


def as_json(result: BenchResult) -> dict[str, Any]:
    """Return all of it as plain values; nothing about when or how fast, so equal runs give equal files."""
    request, dataset = result.request, result.dataset
    counts = np.bincount(dataset.classes, minlength=len(dataset.class_names)).tolist()
    return {
        "schema_version": SCHEMA_VERSION,
        "source": request.source,
        "data": digest(dataset),
        "images": len(dataset.vectors),
        "groups": len(np.unique(dataset.groups)),
        "classes": dict(zip(dataset.class_names, counts, strict=True)),
        "good": result.good,
        "protocol": asdict(request.protocol),
        "seeds": request.seeds,
        "notes": list(result.notes),
        "by": {name: version_of(name) for name in request.all_strategies},
        "strategies": [_standing(one) for one in result.standings],
        "trials": [{**asdict(trial), "scores": _scores(result, trial.scores)} for trial in result.trials],
    }  # fmt: skip


def write_curves(result: BenchResult) -> str:
    """Return the CSV: strategy,seed,labels,score,value; one line per point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("strategy", "seed", "labels", "score", "value"))
    for trial in result.trials:
        for score, values in _scores(result, trial.scores).items():
            for labels, value in zip(trial.labels, values, strict=True):
                writer.writerow((trial.strategy, trial.seed, labels, score, f"{value:.6g}"))
    return text.getvalue()


def _standing(one: Standing) -> dict[str, Any]:
    return {key: _plain(value) for key, value in asdict(one).items()}


def _scores(result: BenchResult, scores: Any) -> dict[str, list[float]]:
    """Name the recalls by class instead of by number."""
    names = result.dataset.class_names
    titles = {f"recall:{number}": f"recall:{name}" for number, name in enumerate(names)}
    return {titles.get(score, score): list(values) for score, values in scores.items()}


def _plain(value: Any) -> Any:
    """JSON has no infinity: an interval from one seed is null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
