"""The labelled images that a head may learn from, with their vectors and groups: what people said, and nothing weak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.annotations import LabelState
from activesel.catalog import Catalog, Images
from activesel.errors import DataError
from activesel.ids import find_ids
from activesel.pipelines.dataset_sources import group_images
from activesel.pipelines.embed import embed_missing, load_vectors
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.workspace import Workspace

UNFIT = (LabelState.weak, LabelState.rejected, LabelState.synthetic)


@dataclass(frozen=True)
class LabelledImages:
    """Row i: image ids[i], of class names[classes[i]], of group groups[i], with its vector. tests: drawn to evaluate.

    vectors: (m, d) float32 unit rows. evaluation rows are there only where they were asked for.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    classes: IntArray
    groups: IntArray
    vectors: FloatArray
    tests: BoolArray

    def __len__(self) -> int:
        return len(self.ids)


def read_labelled(workspace: Workspace, *, evaluation: bool = False) -> LabelledImages:
    """Read every label that people gave; embeds what has no vector, so that the caller holds the workspace's lock.

    evaluation: the evaluation images' labels, too, which must train nothing.

    Raises:
        DataError: fewer than two classes.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        images, labels = catalog.list_images(), catalog.label_columns()
        drawn, resolutions = catalog.batches.picked_ids("evaluation"), catalog.annotations.resolutions()
    unfit = {image_id for image_id, one in resolutions.items() if one.state in UNFIT}
    rows = images.find(labels.ids)
    tests = find_ids(drawn, labels.ids) >= 0
    kept = np.flatnonzero((rows >= 0) & (evaluation | ~tests))
    kept = kept[[name not in unfit for name in images.names(rows[kept])]] if len(kept) else kept
    codes = labels.codes[kept]
    present, classes = np.unique(codes, return_inverse=True)
    if len(present) < 2:
        raise DataError("it takes labels of two classes", where=str(workspace.root),
                        found=", ".join(labels.names[code] for code in present) or "no label",
                        hint="label a batch, then `activesel ingest --labels FILE`")  # fmt: skip
    known = embed_missing(workspace, images.keep(rows[kept]))
    at = known.find(labels.ids[kept])
    return _with_vectors(workspace, known, at, classes, tuple(labels.names[code] for code in present), tests[kept])


def _with_vectors(
    workspace: Workspace, images: Images, at: IntArray, classes: IntArray, names: tuple[str, ...], tests: BoolArray
) -> LabelledImages:
    """at: (m,) row of each label in ``images``, -1 where its file broke since."""
    ids = images.names(at[at >= 0])
    group_of, _ = group_images(workspace, images, embeds=False)
    groups = np.unique([group_of[name] for name in ids], return_inverse=True)[1]
    vectors = np.asarray(load_vectors(workspace, ids), np.float32)
    return LabelledImages(tuple(ids), names, classes[at >= 0], groups, vectors, tests[at >= 0])
