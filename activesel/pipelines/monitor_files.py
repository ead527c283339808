"""What `activesel monitor` leaves: monitor.json for programs, and monitor.html for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from activesel.exploration import LineEstimate
from activesel.monitoring import Labelled, Reading, State
from activesel.pipelines.monitor import Watched
from activesel.report.monitor_page import BatchBar, MonitorPage, ReadingRow, ShareRow, draw_pair, render_monitor
from activesel.workspace import Workspace, write_atomic, write_json

SCHEMA_VERSION = 1
_MEANING = {
    "prevalence": "of all parts have a defect",
    "recall": "of the defects are rejected",
    "precision": "of the rejected have a defect",
    "error": "of all are of another class than the model says",
}


def monitor_folder(workspace: Workspace) -> Path:
    return workspace.state / "monitor"


def write_monitor(workspace: Workspace, watched: Watched, folder: Path) -> dict[str, Any]:
    """Write page and JSON; return what the JSON holds.

    Raises:
        UnreachableError: the disk is full.
    """
    page = render_monitor(_page(workspace, watched))
    write_atomic(folder / "monitor.html", page.encode("utf8", "backslashreplace"))
    document = as_json(watched)
    write_json(folder / "monitor.json", document)
    return document


def as_json(watched: Watched) -> dict[str, Any]:
    """Return all of it as plain values."""
    sides = watched.sides
    return {
        "schema_version": SCHEMA_VERSION,
        "state": watched.state.value,
        "readings": [_reading(one) for one in watched.readings],
        "line": None if watched.line is None else asdict(watched.line),
        "window": None if sides is None else sides.told,
        "n_recent": None if sides is None else int(sides.recent.sum()),
        "n_reference": None if sides is None else int(sides.reference.sum()),
        "drift": [asdict(one) for one in watched.signals.drifts],
        "classes": {name: {"before": before, "recent": recent} for name, (before, recent) in watched.shares.items()},
        "stability_index": watched.stability,
        "notes": list(watched.notes),
    }


def say(reading: Reading) -> str:
    """Return one reading as a line."""
    subject = f" ({reading.subject})" if reading.subject else ""
    return f"{reading.monitor}{subject}: {reading.value}" + (f"; {reading.reason}" if reading.reason else "")


def _reading(one: Reading) -> dict[str, Any]:
    return {**asdict(one), "state": one.state.value}


def _page(workspace: Workspace, watched: Watched) -> MonitorPage:
    pressing = [say(one) for one in watched.readings if one.state is State.act]
    pressing = pressing or [say(one) for one in watched.readings if one.state is State.unknown]
    drawn = [draw_pair(name, before, recent) for name, (before, recent) in watched.samples.items()]
    labelled = watched.signals.labelled
    return MonitorPage(
        workspace.root.name, watched.state.value, tuple(pressing) or ("nothing asks for action",), watched.notes,
        watched.sides.told if watched.sides is not None else "", tuple(map(_row, watched.readings)),
        _line(watched.line), () if labelled is None else _batches(labelled),
        tuple(one for one in drawn if one is not None),
        tuple((name, before, recent) for name, (before, recent) in watched.shares.items()),
    )  # fmt: skip


def _row(one: Reading) -> ReadingRow:
    span = one.span
    return ReadingRow(
        one.monitor, one.subject, one.state.value, one.value, one.reason, one.command, one.p,
        None if span is None else span.value, None if span is None else span.low, None if span is None else span.high,
        one.limit,
    )  # fmt: skip


def _line(line: LineEstimate | None) -> tuple[ShareRow, ...]:
    if line is None:
        return ()
    found = {name: getattr(line, name) for name in _MEANING}
    return tuple(ShareRow(name, _MEANING[name], one.share.value, one.share.low, one.share.high, one.n, one.size)
                 for name, one in found.items() if one is not None)  # fmt: skip


def _batches(labelled: Labelled) -> tuple[BatchBar, ...]:
    wrong = labelled.explored & (labelled.predicted >= 0) & (labelled.predicted != labelled.classes)
    return tuple(
        BatchBar(int((own & ~labelled.explored).sum()), int((own & labelled.explored).sum()), int((own & wrong).sum()))
        for own in (labelled.rounds == number for number in range(len(labelled.pool_sizes)))
    )
