"""Bring together what a selection reads from a workspace: images, vectors, labels, predictions, filters, costs."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog, Images
from activesel.embedding.reduced import Directions
from activesel.errors import DataError
from activesel.ids import find_ids, join_ids, unpack_ids
from activesel.pipelines.bank import vectors_key
from activesel.pipelines.embed import embed_missing, open_store
from activesel.pipelines.exemplars import check_focus, find_exemplars, read_exemplars
from activesel.pipelines.quotas import parse_quota, read_cost
from activesel.pipelines.space import Space, forget_others, load_array_parts, open_space
from activesel.predictions import Predictions, read_embeddings, read_predictions
from activesel.projection import can_reduce
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.workspace import Workspace


@dataclass(frozen=True)
class SelectRequest:
    """What one call of select asks for beyond the settings.

    budget: how many images, or how much to spend where ``cost`` names a metadata column. source: only the images of
    this ingested source, None = all. where: "station=L1,L2", all must hold. quotas: "station=A:30,B:5-20",
    "station=equal", "class=crack:50". exemplars: an image, a folder of images, or a text file of ids or paths.
    focus: the class that they show; images labelled so are exemplars, too.
    command: the shell command that repeats this batch.
    """

    budget: float
    source: str | None = None
    where: tuple[str, ...] = ()
    quotas: tuple[str, ...] = ()
    cost: str | None = None
    predictions: Path | None = None
    embeddings: Path | None = None
    ids: Path | None = None
    exemplars: Path | None = None
    focus: str | None = None
    command: str = ""


@dataclass(frozen=True)
class Gathered:
    """The inputs of a selection, aligned: one entry per image in the order of image ids; no Python object for each."""

    images: Images
    space: Space  # its rows are the vectors, (n, components)
    vectors_name: str
    labelled: IntArray  # (m,) rows that have a label, ascending, evaluation draws left out
    classes: IntArray  # (m,) index of each label in class_names
    class_names: tuple[str, ...]
    candidates: BoolArray  # (n,) what the filter lets through, known images included
    held_out: IntArray  # rows drawn for evaluation in earlier rounds
    pending: IntArray  # rows of earlier batches that have no label yet
    predictions: Predictions | None
    exemplars: FloatArray | None
    input_hashes: dict[str, str]
    answered: tuple[str, ...]  # evaluation draws that have a label by now; which one is nobody's business here

    @property
    def vectors(self) -> FloatArray:
        return self.space.rows

    @property
    def may_be_picked(self) -> BoolArray:
        """(n,) candidates that are neither labelled, nor on their way, nor held out."""
        return _without(self.candidates, self.labelled, self.held_out, self.pending)


@dataclass(frozen=True)
class Known:
    """What the catalog says. label_names: of ``labelled``, ascending rows. waiting: picked earlier, without a label."""

    images: Images
    labelled: IntArray
    label_names: tuple[str, ...]
    evaluation: IntArray
    waiting: IntArray
    answered: tuple[str, ...]


def gather(workspace: Workspace, request: SelectRequest, lap: Callable[[str], None] = lambda _: None) -> Gathered:
    """Read everything; embed what has no vector yet, after whatever can be refused has been.

    lap: told the name of every stage when it is done.

    Raises:
        DataError: no images, a filter that nothing meets, predictions or vectors that do not fit.
    """
    known = read_catalog(workspace, request.source)
    if not len(known.images):
        raise DataError("there are no images yet", where=str(workspace.root), hint="run `activesel ingest IMAGES`")
    check_metadata(known, request)  # this and what follows, before an hour of embedding
    check_focus(request.focus, request.exemplars, known.label_names)
    predictions = _read_predictions(workspace, request, known.images)
    _class_names(known.label_names, predictions)
    wanted = None
    if request.exemplars is not None:
        own_vectors = request.embeddings is not None
        wanted = find_exemplars(workspace, request.exemplars, known.images, own_vectors=own_vectors)
    lap("catalog")
    left = known.images if request.embeddings is not None else embed_missing(workspace, known.images)
    if left is not known.images:
        known = read_catalog(workspace, request.source, left)
        predictions = _read_predictions(workspace, request, known.images)
    lap("vectors")
    hashes = _hash_inputs(workspace, request, known, predictions)
    space = _open_space(workspace, request, known.images, hashes)
    exemplars = None
    if wanted is not None:
        names, exemplars = read_exemplars(workspace, wanted, known.images, space)
        hashes["exemplars"] = _sha256("\n".join(names).encode())
    class_names = _class_names(known.label_names, predictions)
    index = {name: code for code, name in enumerate(class_names)}
    classes = np.array([index[name] for name in known.label_names], np.int64)
    candidates = find_candidates(known.images, request.where)
    lap("projection")
    return Gathered(
        known.images, space, hashes["vectors"], known.labelled, classes, class_names, candidates, known.evaluation,
        known.waiting, predictions, exemplars, hashes, known.answered,
    )  # fmt: skip


def find_candidates(images: Images, where: Sequence[str]) -> BoolArray:
    """Return (n,) whether each image meets every filter "COLUMN=VALUE,VALUE".

    Raises:
        DataError: a filter of another form, or no image meets them all.
    """
    candidates = np.ones(len(images), dtype=bool)
    for condition in where:
        column, equals, values = condition.partition("=")
        if not (column and equals and values):
            raise DataError("cannot read a filter", where=condition, expected="COLUMN=VALUE or COLUMN=VALUE,VALUE")
    for condition in where:
        column, _, values = condition.partition("=")
        candidates &= images.column(column).meets(values.split(","))
    if not candidates.any():
        raise DataError("no image meets the filter", where=" ".join(where), found=_known_meta(images))
    return candidates


def read_catalog(workspace: Workspace, source: str | None, images: Images | None = None) -> Known:
    """Read what is known of a pool: all images, those of a source, or ``images``.

    Of a source alone, as in a one-off selection, earlier picks without a label may be picked again.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        images = catalog.list_images(source) if images is None else images
        labels, evaluation, picked = (
            catalog.label_columns(),
            catalog.batches.picked_ids("evaluation"),
            catalog.batches.picked_ids(),
        )
        weak = catalog.weak_ids()
    steers = find_ids(evaluation, labels.ids) < 0
    rows = images.find(labels.ids)
    kept = steers & (rows >= 0)
    waits = (find_ids(labels.ids, picked) < 0) & (find_ids(evaluation, picked) < 0) & (source is None)
    answered = evaluation[(find_ids(labels.ids, evaluation) >= 0) & (find_ids(weak, evaluation) < 0)]
    return Known(
        images, rows[kept], tuple(labels.names[code] for code in labels.codes[kept]), _present(images.find(evaluation)),
        _present(images.find(picked[waits])), tuple(unpack_ids(answered)),
    )  # fmt: skip


def check_metadata(known: Known, request: SelectRequest) -> BoolArray:
    """Return (n,) which images may be picked; refuse filters, quotas and costs that do not fit.

    Raises:
        DataError: as said; what needs a model, such as a quota per predicted class, is not looked at.
    """
    candidates = find_candidates(known.images, request.where)
    candidates = _without(candidates, known.labelled, known.evaluation, known.waiting)
    for text in request.quotas:
        column = known.images.column(text.partition("=")[0])
        if not text.startswith("class=") or column.values:
            parse_quota(text, column, candidates, request.budget if request.cost is None else None)
    if request.cost is not None:
        read_cost(known.images, request.cost, candidates)
    return candidates


def _without(candidates: BoolArray, *known: IntArray) -> BoolArray:
    left = candidates.copy()
    for rows in known:
        left[rows] = False
    return left


def _present(rows: npt.NDArray[np.int64]) -> IntArray:
    return np.sort(rows[rows >= 0])


def _open_space(workspace: Workspace, request: SelectRequest, images: Images, hashes: Mapping[str, str]) -> Space:
    """Return the pool's vectors, reduced; hashes name the user's own files."""
    components, folder = workspace.config.selection.components, workspace.index_dir / "spaces"
    if request.embeddings is None:
        key = vectors_key(workspace)
        load = functools.cache(functools.partial(open_store, workspace))  # not opened where everything is kept
        return open_space(folder, key, images.ids, lambda ids: load().load_parts(ids), components,
                          whole=request.source is None)  # fmt: skip
    assert request.ids is not None, "checked with the request"
    vectors = read_embeddings(request.embeddings, request.ids, read_paths(workspace), images.names())
    name = "own-" + _sha256((hashes["embeddings"] + hashes["ids"]).encode())[:32]
    if not can_reduce(len(vectors), vectors.shape[1], components):
        return Space(vectors, Directions(None, len(vectors)), {"vectors": name})
    forget_others(folder, "own-", name)
    return open_space(folder, name, images.ids, load_array_parts(images.ids, vectors), components)


def _read_predictions(workspace: Workspace, request: SelectRequest, images: Images) -> Predictions | None:
    if request.predictions is None:
        return None
    scores = workspace.config.scores
    return read_predictions(
        request.predictions, read_paths(workspace), images.names(), reduction=scores.reduction,
        top_k=scores.reduction_top_k,
    )  # fmt: skip


def read_paths(workspace: Workspace) -> dict[str, str]:
    """Return the image id of every path; for users' files that name images, a Python object for each image.

    A file set aside since the user made predictions is known, though it is no image of the pool any more.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        return {item.path: f"set aside: {item.path}" for item in catalog.quarantined()} | catalog.resolve()


def _known_meta(images: Images) -> str:
    columns = list(images.columns().items())[:5]
    parts = [f"{name}=" + "|".join(column.values[:5]) for name, column in columns]
    return "; ".join(parts) if parts else "no metadata at all"


def _class_names(label_names: Sequence[str], predictions: Predictions | None) -> tuple[str, ...]:
    """The classes in a fixed order: the predictions' columns, else the label names sorted.

    Columns without names are "class 0", "class 1", ...: which label each means is not for us to guess; labels follow.
    """
    known = sorted(set(label_names))
    if predictions is None:
        return tuple(known)
    columns = predictions.classes or ()
    if predictions.probs is None:  # boxes or pixels: a part without any is good, which is no class of a detector
        return (*columns, *(name for name in known if name not in columns))
    if predictions.classes is None:
        columns = tuple(f"class {c}" for c in range(predictions.probs.shape[1]))
        return (*columns, *(name for name in known if name not in columns))
    extra = [name for name in known if name not in columns]
    if extra:
        raise DataError("a label is not among the classes of the predictions", found=", ".join(extra[:3]),
                        expected=", ".join(columns))  # fmt: skip
    return columns


def _hash_inputs(
    workspace: Workspace, request: SelectRequest, known: Known, predictions: Predictions | None
) -> dict[str, str]:
    """Name every input by its content; what decides nothing, such as unused metadata, stays out."""
    images = known.images
    pairs = zip(images.names(known.labelled), known.label_names, strict=True)
    labels = "\n".join(f"{image_id},{name}" for image_id, name in pairs)
    hashes = {"images": _sha256(join_ids(images.ids).encode()), "labels": _sha256(labels.encode())}
    texts = [*request.where, *request.quotas, *([request.cost] if request.cost else [])]
    columns = [(name, images.column(name)) for name in sorted({text.partition("=")[0] for text in texts})]
    if columns:
        names = [[name, column.values, _sha256(column.codes.tobytes())] for name, column in columns]
        hashes["metadata"] = _sha256(json.dumps(names).encode())
    if predictions is not None and predictions.uncertainty is not None:
        hashes["uncertainty"] = _sha256(predictions.uncertainty.tobytes())  # pixel maps lie in files of their own
    for field in ("predictions", "embeddings", "ids"):
        path = getattr(request, field)
        if path is not None:
            with path.open("rb") as stream:
                hashes[field] = hashlib.file_digest(stream, "sha256").hexdigest()
    hashes["vectors"] = vectors_key(workspace) if request.embeddings is None else request.embeddings.name
    return hashes


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
