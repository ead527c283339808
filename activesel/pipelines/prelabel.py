"""The story of `activesel prelabel`: what a model takes a batch for, stored beside people's opinions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.annotations import Annotation, LabelState, Resolution, Role
from activesel.calibration import Standard, Threshold, expected_calibration_error, prove_threshold
from activesel.catalog import Catalog, Images
from activesel.errors import DataError
from activesel.ids import find_ids, pack_ids, unpack_ids
from activesel.pipelines.export import find_batch
from activesel.pipelines.prelabel_models import Model, from_file, from_head
from activesel.workspace import Workspace

SOURCE = "activesel prelabel"


@dataclass(frozen=True)
class PrelabelRequest:
    """batch: None = the newest. pool: every image without a label instead. predictions: a model's, else the head's.
    auto_accept: let what is proved count as weak labels."""

    batch: str | None = None
    pool: bool = False
    predictions: Path | None = None
    auto_accept: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Prelabelled:
    """model: the name under which opinions are stored. counts: class -> images. n_shapes: class -> boxes and polygons,
    None where the model draws none. mean_confidence: of the classes, None without any. ece: calibration error on the
    images held out, None without any. thresholds: class -> what is proved of it.
    """

    model: str
    n_images: int
    n_new: int
    counts: dict[str, int]
    n_shapes: dict[str, int] | None
    mean_confidence: float | None
    ece: float | None
    n_held_out: int
    thresholds: dict[str, Threshold]
    n_accepted: int
    notes: tuple[str, ...]


def prelabel(workspace: Workspace, request: PrelabelRequest) -> Prelabelled:
    """Predict, store one opinion of role model for each image, and accept what is proved if that is asked for.

    The caller holds the workspace's lock. The same labels give the same opinions, which are stored once.

    Raises:
        DataError: no batch, labels of fewer than two classes, predictions without class probabilities.
    """
    wanted = _wanted(workspace, request)
    if not len(wanted):
        raise DataError("every image has a label, so none needs a pre-label", where=str(workspace.root))
    model = from_head(workspace, wanted) if request.predictions is None else \
        from_file(workspace, request.predictions, wanted)  # fmt: skip
    thresholds = _prove(workspace, model)
    opinions = _opinions(model, wanted.names())
    accepted = _accept(workspace, opinions, thresholds) if request.auto_accept else []
    n_new = 0
    if not request.dry_run:
        with Catalog.open(workspace.catalog_place) as catalog:
            n_new = catalog.annotations.add(opinions).n_new
            catalog.annotations.resolve(accepted)
    sure = [one.score for one in opinions if one.score is not None]
    return Prelabelled(
        model.name, len(opinions), n_new, dict(Counter(one.name for one in opinions if one.name is not None)),
        None if model.shapes is None else dict(Counter(shape.name for one in opinions for shape in one.shapes)),
        sum(sure) / len(sure) if sure else None, _calibration(model), len(model.truth), thresholds, len(accepted),
        _notes(request, model, thresholds),
    )  # fmt: skip


def _opinions(model: Model, ids: Sequence[str]) -> list[Annotation]:
    """Return what the model says of each image: its likeliest class, its shapes, or both."""
    shapes = model.shapes or {}
    if model.probs is None:
        return [Annotation(one, model.name, Role.model, shapes=shapes.get(one, ()), source=SOURCE) for one in ids]
    best = model.probs.argmax(axis=1)
    sure = model.probs[np.arange(len(best)), best].tolist()
    return [Annotation(one, model.name, Role.model, model.classes[code], shapes.get(one, ()), score=score,
                       source=SOURCE) for one, code, score in zip(ids, best.tolist(), sure, strict=True)]  # fmt: skip


def _wanted(workspace: Workspace, request: PrelabelRequest) -> Images:
    """Return the images of the batch, or of the pool, for which nothing counts yet."""
    with Catalog.open(workspace.catalog_place) as catalog:
        images, labelled = catalog.list_images(), catalog.label_columns().ids
        rejected = pack_ids(list(catalog.annotations.resolutions()))
        picked = images.ids
        if not request.pool:
            batch_id = find_batch(workspace, request.batch)
            picks = next(one for one in catalog.batches.read() if one.batch_id == batch_id)
            picked = pack_ids(sorted(picks.image_ids))
    free = (find_ids(labelled, picked) < 0) & (find_ids(rejected, picked) < 0)
    rows = images.find(picked[free])
    return images.keep(np.sort(rows[rows >= 0]))


def _prove(workspace: Workspace, model: Model) -> dict[str, Threshold]:
    settings = workspace.config.prelabel
    standard = Standard(settings.accept_precision, settings.accept_escapes, settings.confidence)
    if not len(model.truth):
        return {name: Threshold(None, 0, 0.0, 1.0, "nothing is held out") for name in model.classes}
    return {name: prove_threshold(model.held, model.truth, model.groups, code, standard)
            for code, name in enumerate(model.classes)}  # fmt: skip


def _accept(workspace: Workspace, opinions: Sequence[Annotation], thresholds: dict[str, Threshold]) -> list[Resolution]:
    """Return weak labels for what is surer than its class's threshold; never of an image that measures something:
    evaluation, overlap, gold, or one whose pre-label is hidden."""
    with Catalog.open(workspace.catalog_place) as catalog:
        kept = set(unpack_ids(catalog.batches.picked_ids("evaluation")))
        kept |= {one.image_id for one in catalog.annotations.tasks()
                 if one.overlap or one.gold or one.prelabel == "hidden"}  # fmt: skip
    found = []
    for one in opinions:
        value = thresholds[one.name].value if one.name is not None else None
        if value is not None and one.score is not None and one.score >= value and one.image_id not in kept:
            found.append(Resolution(one.image_id, one.name, LabelState.weak, one.score, one.annotator))
    return found


def _calibration(model: Model) -> float | None:
    if not len(model.truth):
        return None
    return expected_calibration_error(model.held.max(axis=1), model.held.argmax(axis=1) == model.truth)


def _notes(request: PrelabelRequest, model: Model, thresholds: dict[str, Threshold]) -> tuple[str, ...]:
    notes = []
    if model.probs is None:
        notes.append("shapes alone say nothing of whole images: no confidence is measured, nothing is accepted")
    elif not len(model.truth):
        notes.append("calibration is not known: " + ("no evaluation image has a label" if request.predictions else
                                                     "no class has two groups to hold one out"))  # fmt: skip
    if request.auto_accept and model.probs is not None and all(one.value is None for one in thresholds.values()):
        notes.append("nothing is accepted: no threshold is proved for any class")
    return tuple(notes)
