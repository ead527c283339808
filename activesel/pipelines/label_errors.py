"""The story of `activesel label-errors`: labels that the other images speak against, the most doubtful first."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

from activesel.catalog import Catalog
from activesel.ids import pack_ids
from activesel.labelerrors import find_label_errors
from activesel.pipelines.labelled import read_labelled
from activesel.training.held_out import hold_out_head
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


def find_doubts(workspace: Workspace, most: int) -> Doubts:
    """Hold out every labelled image, group by group, and ask the others; embeds what has no vector.

    The caller holds the workspace's lock. Evaluation labels are neither asked nor doubted: what is found with a model
    must not change what measures models.

    Raises:
        DataError: labels of fewer than two classes.
    """
    known = read_labelled(workspace)
    held = hold_out_head(known.vectors, known.classes, known.groups, len(known.names), seed=workspace.config.seed)
    found = find_label_errors(held.probs, known.classes)
    shown = found.rows[:most].tolist()
    with Catalog.open(workspace.catalog_place) as catalog:
        images, resolutions = catalog.list_images(), catalog.annotations.resolutions()
    paths = images.take(images.find(pack_ids([known.ids[row] for row in shown]))) if shown else []
    suspects = []
    for rank, (row, image) in enumerate(zip(shown, paths, strict=True)):
        resolution = resolutions.get(known.ids[row])
        suspects.append(Suspect(
            rank + 1, known.ids[row], image.path, known.names[known.classes[row]], known.names[found.suggested[rank]],
            float(found.self_confidence[rank]), float(found.margin[rank]), bool(found.confident[rank]),
            resolution.state.value if resolution is not None else "raw",
        ))  # fmt: skip
    n_held = int((held.probs[:, 0] == held.probs[:, 0]).sum())
    return Doubts(len(known), n_held, len(found.rows), int(found.confident.sum()), found.share, tuple(suspects))


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
