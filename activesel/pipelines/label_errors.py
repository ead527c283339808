"""The story of `activesel label-errors`: labels that the other images speak against, the most doubtful first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.ids import pack_ids
from activesel.labelerrors import LabelErrors, find_label_errors, rank_alike
from activesel.pipelines.doubts import Doubts, Suspect
from activesel.pipelines.labelled import read_labelled
from activesel.records import FloatArray, IntArray
from activesel.training.held_out import hold_out_head
from activesel.workspace import Workspace


def find_doubts(workspace: Workspace, most: int, like: str | None = None) -> Doubts:
    """Hold out every labelled image, group by group, and ask the others; embeds what has no vector.

    like: list the labels of other classes that may be of this one, whether or not another class is likelier. The
    caller holds the workspace's lock. Evaluation labels are neither asked nor doubted: what is found with a model must
    not change what measures models.

    Raises:
        DataError: labels of fewer than two classes, or none of class ``like``.
    """
    known = read_labelled(workspace)
    if like is not None and like not in known.names:
        raise DataError("no image is labelled so", where=f"--like {like}", expected="one of " + ", ".join(known.names))
    held = hold_out_head(known.vectors, known.classes, known.groups, len(known.names), seed=workspace.config.seed)
    found = find_label_errors(held.probs, known.classes)
    if like is not None:
        found = _ask_for(known.names.index(like), held.probs, known.classes, found)
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


def _ask_for(kind: int, probs: FloatArray, classes: IntArray, found: LabelErrors) -> LabelErrors:
    """Put the labels that may be of class ``kind`` in place of those in doubt; sure are those that were."""
    rows = rank_alike(probs, classes, kind)
    sure = set(found.rows[found.confident & (found.suggested == kind)].tolist())
    own = np.asarray(probs[rows, classes[rows]], np.float64)
    margin = np.asarray(own - probs[rows, kind], np.float64)
    return replace(
        found, rows=rows, suggested=np.full(len(rows), kind), self_confidence=own, margin=margin,
        confident=np.array([row in sure for row in rows.tolist()], bool),
    )  # fmt: skip
