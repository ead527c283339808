"""The story of `activesel prelabel --measure`: opinions of people who saw a pre-label, and of those who did not."""

from __future__ import annotations

import numpy as np

from activesel.anchoring import Anchoring, measure_anchoring
from activesel.annotations import Role
from activesel.catalog import Catalog
from activesel.workspace import Workspace

_PEOPLE = (Role.annotator, Role.expert)
SHOWN, HIDDEN = "shown", "hidden"


def read_anchoring(workspace: Workspace) -> Anchoring:
    """Compare every person's opinion with the model's that was recorded last before it. Reads only.

    Where an opinion does not say what its annotator had before them, the image's task does.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        opinions, tasks = catalog.annotations.read(), catalog.annotations.tasks()
    planned = {one.image_id: one.prelabel for one in tasks}
    newest: dict[str, str] = {}
    rows: list[tuple[bool, bool, float]] = []
    for one in opinions:  # in the order in which they were recorded
        if one.role is Role.model and one.name is not None:
            newest[one.image_id] = one.name
        elif one.role in _PEOPLE and one.name is not None and one.image_id in newest:
            arm = one.prelabel or planned.get(one.image_id, "")
            if arm in (SHOWN, HIDDEN):
                seconds = np.nan if one.lead_time_s is None else one.lead_time_s
                rows.append((one.name == newest[one.image_id], arm == SHOWN, seconds))
    table = np.array(rows, np.float64).reshape(-1, 3)
    return measure_anchoring(table[:, 0] > 0, table[:, 1] > 0, table[:, 2])
