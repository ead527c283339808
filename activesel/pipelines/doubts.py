"""Labels in doubt, as `activesel label-errors` leaves them for the experts' queue; finds none itself."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

from activesel.workspace import Workspace, write_json

_FILE = "label_errors.json"


@dataclass(frozen=True)
class Suspect:
    """One label in doubt. self_confidence: p(label), 0..1, lower = more doubtful; margin: p(label) - p(suggested).
    confident: it is surely enough of the other class to count as wrong. state: of its resolution."""

    rank: int
    image_id: str
    path: str
    label: str
    suggested: str
    self_confidence: float
    margin: float
    confident: bool
    state: str


@dataclass(frozen=True)
class Doubts:
    """suspects: the most doubtful first, as many as asked for, of n_found. share: estimated share of wrong labels."""

    n_labels: int
    n_held_out: int
    n_found: int
    n_confident: int
    share: float
    suspects: tuple[Suspect, ...]


def keep_doubts(workspace: Workspace, doubts: Doubts) -> None:
    """Leave the labels that are surely in doubt for the experts' queue, instead of those of an earlier run."""
    sure = {one.image_id: [one.label, one.suggested, one.self_confidence] for one in doubts.suspects if one.confident}
    write_json(workspace.state / _FILE, {"schema_version": 1, "doubts": sure})


def read_doubts(workspace: Workspace) -> dict[str, tuple[str, str, float]]:
    """Return image id -> its label then, the class suggested, what the others give the label; {} without a run."""
    with contextlib.suppress(FileNotFoundError):
        kept = json.loads((workspace.state / _FILE).read_text(encoding="utf8"))["doubts"]
        return {image_id: (str(label), str(suggested), float(p)) for image_id, (label, suggested, p) in kept.items()}
    return {}
