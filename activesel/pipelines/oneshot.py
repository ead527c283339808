"""The story of `activesel select IMAGES`: no project, one command; the output folder doubles as a hidden workspace."""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from activesel.config import load_config
from activesel.errors import UsageError
from activesel.labels import find_format
from activesel.pipelines.arrays import check_budget
from activesel.pipelines.ingest import ingest
from activesel.pipelines.limits import foresee
from activesel.pipelines.select import BatchResult, SelectRequest, select_batch
from activesel.pipelines.tables import write_blocks
from activesel.sources import read_source
from activesel.strategies import find_strategy
from activesel.workspace import SETTINGS_NAME, Workspace

_BLOCK_BYTES = 1 << 22
BATCH_FILES = ("batch.csv", "batch.json", "report.html", "stands_for.csv")


def select_from_source(
    workspace: Workspace, source: str, request: SelectRequest, *, labels: Path | None = None
) -> BatchResult:
    """Ingest ``source``, embed it, choose from it alone; the caller holds the lock. A rerun does only what is missing.

    Raises:
        DataError, UsageError, ConfigError: from any of the three; what can be told before an hour of work, is.
    """
    _check_request(workspace, request)
    summary = ingest(workspace, source, labels=labels)
    return select_batch(workspace, replace(request, source=summary.source))


def plan_from_source(
    workspace: Workspace, source: str, request: SelectRequest, *, labels: Path | None = None
) -> dict[str, Any]:
    """Say what `select_from_source` would do, from the names of the files alone; the workspace need not exist."""
    _check_request(workspace, request)
    if labels is not None:
        find_format(labels)
    settings = workspace.config
    found = read_source(source, path_pattern=settings.ingest.path_pattern)
    return {
        "source": found.name,
        "files": len(found.entries),
        "strategy": settings.selection.strategy,
        "budget": int(request.budget) if request.cost is None else request.budget,
        "backbone": settings.embedding.backbone,
        "folder": str(workspace.root),
        "plan": foresee(settings, len(found.entries), 0, 0, int(request.budget)),
    }


def open_output(folder: Path, overrides: Sequence[str]) -> Workspace:
    """Return the workspace that ``folder`` is or would become; makes nothing.

    Raises:
        UsageError: there is a file of that name.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("--out is not a folder", where=str(folder))
    settings = folder / SETTINGS_NAME
    return Workspace(folder.resolve(), load_config(settings if settings.exists() else None, overrides))


def place_batch(batch: Path, folder: Path) -> None:
    """Copy a batch's files to where the user looks for them, each appearing whole, batch.csv last."""
    for name in reversed(BATCH_FILES):
        target = folder / name
        if not target.exists() or not filecmp.cmp(batch / name, target, shallow=False):
            with (batch / name).open("rb") as stream:  # stands_for.csv has a line per image
                write_blocks(target, iter(lambda: stream.read(_BLOCK_BYTES), b""))


def _check_request(workspace: Workspace, request: SelectRequest) -> None:
    check_budget(request.budget, whole=request.cost is None)
    settings = workspace.config.selection
    find_strategy(settings.strategy).check_options(settings.options)
