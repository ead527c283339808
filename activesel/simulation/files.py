"""What a simulation leaves: simulation.json, curves.csv (a line per arm, seed and round), and the page."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from activesel.simulation.page import render_page
from activesel.simulation.story import Simulated, SimulateRequest
from activesel.simulation.summary import MEASURES, summarise
from activesel.workspace import write_atomic, write_json

SCHEMA_VERSION = 1
_COLUMNS = ("n_labels", "n_defects", "wrong", "n_opinions", "minutes", "money", "gate", "n_variants")


def write_simulation(found: Simulated, request: SimulateRequest, folder: Path) -> dict[str, Any]:
    """Write all files, each whole; return what simulation.json holds. Nothing in them is about when or how fast.

    Raises:
        UnreachableError: the disk is full.
    """
    document = as_json(found, request)
    write_atomic(folder / "curves.csv", write_curves(found).encode("utf8", "backslashreplace"))
    write_atomic(folder / "simulation.html", render_page(found, request).encode("utf8", "backslashreplace"))
    write_json(folder / "simulation.json", document)
    return document


def as_json(found: Simulated, request: SimulateRequest) -> dict[str, Any]:
    """Return all of it as plain values."""
    summary = summarise(found)
    return {
        "schema_version": SCHEMA_VERSION,
        "images": len(found.oracle.ids), "classes": list(found.oracle.names), "good": found.oracle.good,
        "pool": list(found.n_pool), "rounds": request.rounds, "budget": request.budget, "first": request.first,
        "seeds": request.seeds, "people": request.profile.model_dump(), "everything": [dict(one) for one in
                                                                                       found.everything],
        "arms": [{"name": row.name, "labels": row.n_labels, "defects": row.n_defects, "money": row.money,
                  "minutes": row.minutes, "wrong": row.wrong, "macro_f1": row.macro_f1, "reached": row.reached,
                  "gain": None if row.against is None else row.against.difference} for row in summary.rows],
        "points": {name: [[asdict(point) for point in points] for points in seeds]
                   for name, seeds in found.points.items()},
    }  # fmt: skip


def write_curves(found: Simulated) -> str:
    """Return the CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    models = [f"{model}_{measure}" for model in ("newest", "champion") for measure in MEASURES]
    writer.writerow(["arm", "seed", "round", *_COLUMNS, *models])
    for name, seeds in found.points.items():
        for seed, points in enumerate(seeds):
            for one in points:
                values = [(one.newest if model == "newest" else one.champion)[measure]
                          for model in ("newest", "champion") for measure in MEASURES]  # fmt: skip
                writer.writerow([name, seed, one.round, *(getattr(one, column) for column in _COLUMNS), *values])
    return text.getvalue()
