"""What a selection's batch is expected to bring, from the labels at hand; never changes a pick, never fails."""

from __future__ import annotations

import logging

import numpy as np

from activesel.catalog import Catalog
from activesel.duplicates import group_near_duplicates
from activesel.errors import DataError
from activesel.ids import find_ids
from activesel.index import knn_graph
from activesel.pipelines.choose import Chosen
from activesel.pipelines.gather import Gathered
from activesel.records import FloatArray, IntArray
from activesel.training.worth import Evaluation, Worth, describe_worth, estimate_worth
from activesel.workspace import Workspace

MAX_GROUPED = 5000  # labels compared pair by pair where the selection grouped nothing
NEIGHBOURS = 32
_LOG = logging.getLogger(__name__)


def expect_worth(workspace: Workspace, gathered: Gathered, chosen: Chosen) -> tuple[Worth | None, str]:
    """Return the estimate and its sentence; None and why not; None and "" where nothing is labelled."""
    if not len(gathered.labelled):
        return None, ""
    labelled = np.asarray(gathered.vectors[gathered.labelled], np.float32)
    budget = max(1, sum(kind != "evaluation" for kind in chosen.kinds))
    try:
        worth = estimate_worth(
            labelled, gathered.classes, gathered.vectors, budget=budget,
            least_gain=workspace.config.stopping.least_gain, groups=_group(workspace, gathered, chosen, labelled),
            tested=_read_tested(workspace, gathered), seed=workspace.config.seed,
        )  # fmt: skip
    except DataError as error:
        return None, f"no estimate of what more labels bring: {error}"
    except (ArithmeticError, ValueError) as error:  # of a solver; the batch stands without it
        _LOG.warning("no estimate of what more labels bring: %s", error)
        return None, "no estimate of what more labels bring: the fit failed"
    return worth, describe_worth(worth)


def _group(workspace: Workspace, gathered: Gathered, chosen: Chosen, labelled: FloatArray) -> IntArray | None:
    """Return the near-duplicate group (m,) of each labelled row."""
    if chosen.groups is not None:
        return chosen.groups[gathered.labelled]
    if not 2 <= len(labelled) <= MAX_GROUPED:
        return None
    graph = knn_graph(labelled, min(NEIGHBOURS, len(labelled) - 1), seed=0)
    return group_near_duplicates(graph, workspace.config.duplicates.similarity)


def _read_tested(workspace: Workspace, gathered: Gathered) -> Evaluation | None:
    """Return the evaluation images of this pool that have a label; a class only they have gets a number of its own."""
    with Catalog.open(workspace.catalog_place) as catalog:
        labels, evaluation, weak = catalog.label_columns(), catalog.batches.picked_ids("evaluation"), catalog.weak_ids()
    kept = (find_ids(evaluation, labels.ids) >= 0) & (find_ids(weak, labels.ids) < 0)
    rows = gathered.images.find(labels.ids[kept])
    if not (rows >= 0).any():
        return None
    index = {name: code for code, name in enumerate(gathered.class_names)}
    code_of = np.array([index.setdefault(name, len(index)) for name in labels.names], np.int64)
    classes = code_of[labels.codes[kept]][rows >= 0]
    return Evaluation(np.asarray(gathered.vectors[rows[rows >= 0]], np.float32), classes)
