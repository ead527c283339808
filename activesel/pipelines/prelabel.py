"""The story of `activesel prelabel`: what a model takes a batch for, stored beside people's opinions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.annotations import Annotation, LabelState, Resolution, Role
from activesel.calibration import Standard, Threshold, expected_calibration_error, prove_threshold
from activesel.catalog import Catalog, Images
from activesel.errors import DataError
from activesel.ids import find_ids, pack_ids, unpack_ids
from activesel.pipelines.bank import vectors_key
from activesel.pipelines.embed import embed_missing, load_vectors
from activesel.pipelines.export import find_batch
from activesel.pipelines.gather import read_paths
from activesel.pipelines.labelled import LabelledImages, read_labelled
from activesel.predictions import read_predictions
from activesel.records import FloatArray, IntArray
from activesel.training.held_out import hold_out_head
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
    """model: the name under which opinions are stored. counts: class -> images. ece: calibration error on the images
    held out, None without any. thresholds: class -> what is proved of it."""

    model: str
    n_images: int
    n_new: int
    counts: dict[str, int]
    mean_confidence: float
    ece: float | None
    n_held_out: int
    thresholds: dict[str, Threshold]
    n_accepted: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Model:
    """probs: (n, c) of the images wanted. held: (q, c) of images that the model has not seen; truth, groups: (q,)."""

    name: str
    classes: tuple[str, ...]
    probs: FloatArray
    held: FloatArray
    truth: IntArray
    groups: IntArray


def prelabel(workspace: Workspace, request: PrelabelRequest) -> Prelabelled:
    """Predict, store one opinion of role model for each image, and accept what is proved if that is asked for.

    The caller holds the workspace's lock. The same labels give the same opinions, which are stored once.

    Raises:
        DataError: no batch, labels of fewer than two classes, predictions without class probabilities.
    """
    wanted = _wanted(workspace, request)
    if not len(wanted):
        raise DataError("every image has a label, so none needs a pre-label", where=str(workspace.root))
    model = _from_head(workspace, wanted) if request.predictions is None else \
        _from_file(workspace, request.predictions, wanted)  # fmt: skip
    ids, best = wanted.names(), model.probs.argmax(axis=1)
    score = model.probs[np.arange(len(best)), best]
    thresholds = _prove(workspace, model)
    opinions = [
        Annotation(image_id, model.name, Role.model, model.classes[code], score=float(sure), source=SOURCE)
        for image_id, code, sure in zip(ids, best.tolist(), score.tolist(), strict=True)
    ]
    accepted = _accept(workspace, opinions, thresholds) if request.auto_accept else []
    n_new = 0
    if not request.dry_run:
        with Catalog.open(workspace.catalog_place) as catalog:
            n_new = catalog.annotations.add(opinions).n_new
            catalog.annotations.resolve(accepted)
    counts = {name: int((best == code).sum()) for code, name in enumerate(model.classes) if (best == code).any()}
    return Prelabelled(model.name, len(ids), n_new, counts, float(score.mean()), _calibration(model), len(model.truth),
                       thresholds, len(accepted), _notes(request, model, thresholds))  # fmt: skip


def _wanted(workspace: Workspace, request: PrelabelRequest) -> Images:
    """Return the images of the batch, or of the pool, for which nothing counts yet."""
    with Catalog.open(workspace.catalog_place) as catalog:
        images, labelled = catalog.list_images(), catalog.label_columns().ids
        rejected = pack_ids(list(catalog.annotations.resolutions()))
        picked = images.ids
        if not request.pool:
            batch_id = find_batch(workspace, request.batch)
            picks = next(one for one in catalog.batches() if one.batch_id == batch_id)
            picked = pack_ids(sorted(picks.image_ids))
    free = (find_ids(labelled, picked) < 0) & (find_ids(rejected, picked) < 0)
    rows = images.find(picked[free])
    return images.keep(np.sort(rows[rows >= 0]))


def _from_head(workspace: Workspace, wanted: Images) -> _Model:
    """Fit the head to all labels; what it says of images that it has not seen comes from folds."""
    known, seed = read_labelled(workspace), workspace.config.seed
    embed_missing(workspace, wanted)
    fitted = hold_out_head(known.vectors, known.classes, known.groups, len(known.names), seed=seed)
    probs, held = fitted.head.probabilities(load_vectors(workspace, wanted.names())), fitted.probs
    rows = np.flatnonzero(np.isfinite(held).all(axis=1))
    return _Model(f"head-{_key(workspace, known)}", known.names, probs, held[rows], known.classes[rows],
                  known.groups[rows])  # fmt: skip


def _key(workspace: Workspace, known: LabelledImages) -> str:
    labels = [f"{image_id} {known.names[code]}" for image_id, code in zip(known.ids, known.classes, strict=True)]
    text = "\n".join([vectors_key(workspace), str(workspace.config.seed), *labels])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _from_file(workspace: Workspace, path: Path, wanted: Images) -> _Model:
    """Read the model's predictions; only evaluation images are surely none that it was trained on."""
    with Catalog.open(workspace.catalog_place) as catalog:
        drawn, labels = catalog.picked_ids("evaluation"), catalog.label_columns()
        weak = {image_id for image_id, one in catalog.annotations.resolutions().items() if one.state is LabelState.weak}
    tested = unpack_ids(labels.ids[find_ids(drawn, labels.ids) >= 0])
    name_of = dict(zip(unpack_ids(labels.ids), (labels.names[code] for code in labels.codes), strict=True))
    ids = wanted.names()
    found = read_predictions(path, read_paths(workspace), [*ids, *tested], max_missing=1.0)
    if found.probs is None or found.classes is None:
        raise DataError("these predictions give no class probabilities with names", where=str(path),
                        expected="p_CLASS columns, or probs with class names")  # fmt: skip
    if found.missing[: len(ids)].any():
        raise DataError(f"{int(found.missing[: len(ids)].sum())} of {len(ids)} images have no row", where=str(path),
                        hint="predict every image that is to be pre-labelled")  # fmt: skip
    index = {name: code for code, name in enumerate(found.classes)}
    rows = [i for i, one in enumerate(tested, len(ids)) if not found.missing[i] and one not in weak
            and name_of[one] in index]  # fmt: skip
    truth = np.array([index[name_of[tested[row - len(ids)]]] for row in rows], np.int64)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    return _Model(f"predictions-{digest}", found.classes, found.probs[: len(ids)], found.probs[rows], truth,
                  np.arange(len(rows)))  # fmt: skip


def _prove(workspace: Workspace, model: _Model) -> dict[str, Threshold]:
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
        kept = set(unpack_ids(catalog.picked_ids("evaluation")))
        kept |= {one.image_id for one in catalog.annotations.tasks()
                 if one.overlap or one.gold or one.prelabel == "hidden"}  # fmt: skip
    found = []
    for one in opinions:
        assert one.name is not None
        assert one.score is not None
        value = thresholds[one.name].value
        if value is not None and one.score >= value and one.image_id not in kept:
            found.append(Resolution(one.image_id, one.name, LabelState.weak, one.score, one.annotator))
    return found


def _calibration(model: _Model) -> float | None:
    if not len(model.truth):
        return None
    return expected_calibration_error(model.held.max(axis=1), model.held.argmax(axis=1) == model.truth)


def _notes(request: PrelabelRequest, model: _Model, thresholds: dict[str, Threshold]) -> tuple[str, ...]:
    notes = []
    if not len(model.truth):
        notes.append("calibration is not known: " + ("no evaluation image has a label" if request.predictions else
                                                     "no class has two groups to hold one out"))  # fmt: skip
    if request.auto_accept and all(one.value is None for one in thresholds.values()):
        notes.append("nothing is accepted: no threshold is proved for any class")
    return tuple(notes)
