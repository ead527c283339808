"""Who pre-labels: the head on the labels at hand, which knows classes only, or the user's model with its boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.annotations import LabelState, Shape
from activesel.catalog import Catalog, Images
from activesel.errors import DataError
from activesel.ids import find_ids, unpack_ids
from activesel.pipelines.bank import vectors_key
from activesel.pipelines.embed import embed_missing, load_vectors
from activesel.pipelines.gather import read_paths
from activesel.pipelines.labelled import LabelledImages, read_labelled
from activesel.predictions import holds_probabilities, read_predictions, read_shapes
from activesel.records import FloatArray, IntArray
from activesel.training.held_out import hold_out_head
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Model:
    """probs: (n, c) of the images wanted, None where shapes alone are predicted. held: (q, c) of images that the model
    has not seen; truth, groups: (q,). shapes: of the images wanted, by id, None where the model draws none."""

    name: str
    classes: tuple[str, ...]
    probs: FloatArray | None
    held: FloatArray
    truth: IntArray
    groups: IntArray
    shapes: dict[str, tuple[Shape, ...]] | None = None


def from_head(workspace: Workspace, wanted: Images) -> Model:
    """Fit the head to all labels; what it says of images that it has not seen comes from folds."""
    known, seed = read_labelled(workspace), workspace.config.seed
    embed_missing(workspace, wanted)
    fitted = hold_out_head(known.vectors, known.classes, known.groups, len(known.names), seed=seed)
    probs, held = fitted.head.probabilities(load_vectors(workspace, wanted.names())), fitted.probs
    rows = np.flatnonzero(np.isfinite(held).all(axis=1))
    return Model(f"head-{_key(workspace, known)}", known.names, probs, held[rows], known.classes[rows],
                  known.groups[rows])  # fmt: skip


def _key(workspace: Workspace, known: LabelledImages) -> str:
    labels = [f"{image_id} {known.names[code]}" for image_id, code in zip(known.ids, known.classes, strict=True)]
    text = "\n".join([vectors_key(workspace), str(workspace.config.seed), *labels])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def from_file(workspace: Workspace, path: Path, wanted: Images) -> Model:
    """Read the model's predictions; only evaluation images are surely none that it was trained on."""
    with Catalog.open(workspace.catalog_place) as catalog:
        drawn, labels = catalog.batches.picked_ids("evaluation"), catalog.label_columns()
        weak = {image_id for image_id, one in catalog.annotations.resolutions().items() if one.state is LabelState.weak}
    tested = unpack_ids(labels.ids[find_ids(drawn, labels.ids) >= 0])
    name_of = dict(zip(unpack_ids(labels.ids), (labels.names[code] for code in labels.codes), strict=True))
    ids, paths = wanted.names(), read_paths(workspace)
    with path.open("rb") as stream:
        name = "predictions-" + hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    shapes = _read_shapes(workspace, path, ids, paths, labels.names)
    found = read_predictions(path, paths, [*ids, *tested], max_missing=1.0) if holds_probabilities(path) else None
    if found is None or found.probs is None or found.classes is None:
        if shapes is None:
            raise DataError("these predictions give neither class probabilities with names nor shapes", where=str(path),
                            expected="p_CLASS columns, probs with class names, boxes with box_names")  # fmt: skip
        _check_all_there(len(ids) - len(shapes), ids, path)
        return Model(name, (), None, np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64), shapes)
    _check_all_there(int(found.missing[: len(ids)].sum()), ids, path)
    index = {name: code for code, name in enumerate(found.classes)}
    rows = [i for i, one in enumerate(tested, len(ids)) if not found.missing[i] and one not in weak
            and name_of[one] in index]  # fmt: skip
    truth = np.array([index[name_of[tested[row - len(ids)]]] for row in rows], np.int64)
    return Model(name, found.classes, found.probs[: len(ids)], found.probs[rows], truth, np.arange(len(rows)), shapes)


def _read_shapes(
    workspace: Workspace, path: Path, ids: Sequence[str], paths: Mapping[str, str], names: Sequence[str]
) -> dict[str, tuple[Shape, ...]] | None:
    with Catalog.open(workspace.catalog_place) as catalog:
        sizes = catalog.sizes_of(ids)
    return read_shapes(path, paths, sizes, {*names, *workspace.config.review.classes})


def _check_all_there(n_missing: int, ids: Sequence[str], path: Path) -> None:
    if n_missing:
        raise DataError(f"{n_missing} of {len(ids)} images have no row", where=str(path),
                        hint="predict every image that is to be pre-labelled")  # fmt: skip
