"""What `activesel qc` leaves: quality/BATCH.json for programs, and BATCH.html for people."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from activesel.adjudication import QueueItem, rank_cases
from activesel.agreement import Agreement
from activesel.errors import DataError
from activesel.images import thumbnail_jpeg
from activesel.pipelines.adjudicate import list_cases, read_rules
from activesel.pipelines.qc import Quality
from activesel.report.qc_page import AgreementRow, QcPage, QueueCard, Tile, render_qc
from activesel.report.render import picture_url
from activesel.workspace import Workspace, write_atomic, write_json

_LOG = logging.getLogger(__name__)

SCHEMA_VERSION = 1
MOST_CARDS = 24  # images of the queue on the page; `activesel adjudicate list` has them all
MOST_ROWS = 40  # of agreement; many annotators make very many pairs


def quality_folder(workspace: Workspace) -> Path:
    return workspace.state / "quality"


def write_quality(workspace: Workspace, quality: Quality, document: dict[str, Any]) -> Path:
    """Write page and JSON; return the page.

    Raises:
        UnreachableError: the disk is full.
    """
    folder, name = quality_folder(workspace), quality.opinions.batch_id
    page = render_qc(_page(workspace, quality))
    write_atomic(folder / f"{name}.html", page.encode("utf8", "backslashreplace"))
    write_json(folder / f"{name}.json", document)
    return folder / f"{name}.html"


def as_json(quality: Quality) -> dict[str, Any]:
    """Return all of it as plain values."""
    opinions = quality.opinions
    return {
        "schema_version": SCHEMA_VERSION,
        "batch_id": opinions.batch_id,
        "verdict": quality.decision.verdict.value,
        "reasons": list(quality.decision.reasons),
        "label_more": quality.decision.n_more,
        "look": None if quality.look is None else {**asdict(quality.look), "bound": quality.look.bound},
        "good": opinions.good,
        "classes": list(quality.classes),
        "table": None if quality.table is None else quality.table.tolist(),
        "images": len(opinions.picks),
        "labelled": len(opinions.people),
        "overlap": len(opinions.blind),
        "skipped": quality.n_skipped,
        "agreement": None if quality.overall is None else asdict(quality.overall),
        "pooled": {
            "batches": quality.pooled.batches,
            "alike": None if quality.pooled.alike is None else asdict(quality.pooled.alike),
        },
        "experts": None if quality.experts is None else asdict(quality.experts),
        "alpha": quality.alpha,
        "fleiss": quality.fleiss,
        "parts": [{"kind": row.kind, "name": row.name, **asdict(row.agreement)} for row in quality.rows],
        "shapes": None
        if quality.shapes is None
        else {name: value for name, value in asdict(quality.shapes).items() if name != "names"},
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


def _page(workspace: Workspace, quality: Quality) -> QcPage:
    opinions, decision, settings = quality.opinions, quality.decision, workspace.config.quality
    cases = list_cases(workspace, opinions, quality.consensus)
    queue = rank_cases(cases, read_rules(workspace, opinions))
    two = opinions.annotators if len(opinions.annotators) == 2 else ("One of the two", "the other")
    table = () if quality.table is None else tuple(tuple(row) for row in quality.table.tolist())
    return QcPage(
        f"{workspace.root.name}, batch {opinions.batch_id}", decision.verdict.value, decision.reasons, quality.notes,
        _tiles(quality, len(queue)), settings.least_kappa, settings.least_gold, _rows(quality),
        (*quality.classes, "(other)")[: max(2, len(quality.classes))], table, two[0], two[1], quality.gold,
        tuple(_card(workspace, item) for item in queue[:MOST_CARDS]), len(queue),
    )  # fmt: skip


def _tiles(quality: Quality, n_queue: int) -> tuple[Tile, ...]:
    opinions, found, shapes = quality.opinions, quality.overall, quality.shapes
    bounds = "" if found is None else f"surely at least {found.at_least:.3f}, at most {found.at_most:.3f}"
    bounds += f"; look {quality.look.number}, at {1 - quality.look.bound:.1%}" if quality.look is not None else ""
    labelled = f"of {len(opinions.picks)} images, by {len(opinions.annotators)} people"
    tiles = [
        Tile("Labelled", str(len(opinions.people)), labelled),
        Tile("Compared", str(len(opinions.blind)), "images that two people labelled"),
        Tile("Kappa", _kappa(found), bounds), Tile("For an expert", str(n_queue), "images wait"),
    ]  # fmt: skip
    if quality.alpha is not None and len(opinions.annotators) > 2:
        tiles.append(Tile("Alpha", f"{quality.alpha:.3f}", "Krippendorff's, of all opinions"))
    if shapes is not None and shapes.f1 is not None:
        iou = "none matched" if shapes.mean_iou is None else f"mean IoU {shapes.mean_iou:.2f}"
        tiles.append(Tile("Shapes, F1", f"{shapes.f1:.2f}", f"between people; {iou}"))
    if quality.experts is not None:
        one = quality.experts
        tiles.append(Tile("Experts", _kappa(one), "kappa of two who had seen no answer, "
                          f"{one.low:.3f} to {one.high:.3f}, {one.n} images"))  # fmt: skip
    if quality.n_skipped:
        tiles.append(Tile("Skipped", str(quality.n_skipped), "opinions that said nothing"))
    return tuple(tiles)


def _kappa(found: Agreement | None) -> str:
    return "–" if found is None or found.kappa is None else f"{found.kappa:.3f}"


def _rows(quality: Quality) -> tuple[AgreementRow, ...]:
    if quality.overall is None:
        return ()
    rows, seen = [AgreementRow("overall", "", quality.overall, True)], {"overall"}
    for row in quality.rows[: MOST_ROWS - 1]:
        rows.append(AgreementRow(row.kind, row.name, row.agreement, row.kind not in seen))
        seen.add(row.kind)
    return tuple(rows)


def _card(workspace: Workspace, item: QueueItem) -> QueueCard:
    picture = None
    try:
        picture = picture_url(thumbnail_jpeg(
            Path(item.path), longest_px=workspace.config.report.thumbnail_px,
            max_pixels=int(workspace.config.ingest.max_megapixels * 1e6)))  # fmt: skip
    except DataError as error:  # a file that went away spoils no report
        _LOG.warning("no picture: %s", error)
    return QueueCard(item.rank, item.code.value, item.reasons, item.path, picture)
