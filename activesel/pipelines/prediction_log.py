"""The log of predictions that `activesel serve` leaves in a workspace: where it is, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activesel.workspace import Workspace

EVENT_TYPE = "prediction.made"
MOST_LINE = 1 << 20  # bytes; ours have about one thousand


def predictions_folder(workspace: Workspace) -> Path:
    return workspace.state / "predictions"


def read_predictions_made(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the CloudEvents of the log, the oldest file first, a line at a time.

    A line that is cut short, as the last one of a process that was killed may be, is left out, and so is what is no
    prediction.
    """
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as stream:
            while line := stream.readline(MOST_LINE):
                event = _parse(line)
                if event is not None:
                    yield event


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    good = isinstance(event, dict) and event.get("type") == EVENT_TYPE and isinstance(event.get("data"), dict)
    return event if good else None
