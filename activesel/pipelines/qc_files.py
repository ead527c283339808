"""What `activesel qc` leaves: quality/BATCH.json for programs, and BATCH.html for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from activesel.pipelines.qc import Quality
from activesel.workspace import Workspace, write_json

SCHEMA_VERSION = 1


def quality_folder(workspace: Workspace) -> Path:
    return workspace.state / "quality"


def write_quality(workspace: Workspace, quality: Quality, document: dict[str, Any]) -> Path:
    """Write page and JSON; return the page.

    Raises:
        UnreachableError: the disk is full.
    """
    folder = quality_folder(workspace)
    write_json(folder / f"{quality.opinions.batch_id}.json", document)
    return folder / f"{quality.opinions.batch_id}.html"


def as_json(quality: Quality) -> dict[str, Any]:
    """Return all of it as plain values."""
    opinions = quality.opinions
    return {
        "schema_version": SCHEMA_VERSION,
        "batch_id": opinions.batch_id,
        "verdict": quality.decision.verdict.value,
        "reasons": list(quality.decision.reasons),
        "label_more": quality.decision.n_more,
        "good": opinions.good,
        "classes": list(quality.classes),
        "table": None if quality.table is None else quality.table.tolist(),
        "images": len(opinions.picks),
        "labelled": len(opinions.people),
        "overlap": len(opinions.blind),
        "skipped": quality.n_skipped,
        "agreement": None if quality.overall is None else asdict(quality.overall),
        "alpha": quality.alpha,
        "fleiss": quality.fleiss,
        "parts": [{"kind": row.kind, "name": row.name, **asdict(row.agreement)} for row in quality.rows],
        "gold": [asdict(one) for one in quality.gold],
        "annotators": _annotators(quality),
        "notes": list(quality.notes),
    }


def _annotators(quality: Quality) -> list[dict[str, Any]]:
    """What each annotator is taken to call each class, by the consensus: true class -> class said -> share."""
    agreed = quality.consensus
    return [{"name": name, "confusion": {true: dict(zip(agreed.classes, map(_round, row), strict=True))
                                         for true, row in zip(agreed.classes, rows.tolist(), strict=True)}}
            for name, rows in zip(agreed.annotators, agreed.confusion, strict=True)]  # fmt: skip


def _round(share: float) -> float:
    return round(share, 4)
