"""The story of `activesel label-errors`: labels that the other images speak against, the most doubtful first."""

from __future__ import annotations

from activesel.catalog import Catalog
from activesel.ids import pack_ids
from activesel.labelerrors import find_label_errors
from activesel.pipelines.doubts import Doubts, Suspect
from activesel.pipelines.labelled import read_labelled
from activesel.training.held_out import hold_out_head
from activesel.workspace import Workspace


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
