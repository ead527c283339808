"""Bring together what a selection reads from a workspace: images, vectors, labels, predictions, filters, costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.embed import embed, load_vectors, vectors_key
from activesel.pipelines.exemplars import Exemplars, find_exemplars, read_exemplars
from activesel.pipelines.quotas import metadata_values, parse_quota, read_cost
from activesel.predictions import Predictions, read_embeddings, read_predictions
from activesel.projection import reduce_dimensions
from activesel.records import BoolArray, FloatArray, ImageRow, Label
from activesel.workspace import Workspace


@dataclass(frozen=True)
class SelectRequest:
    """What one call of select asks for beyond the settings.

    budget: how many images, or how much to spend where ``cost`` names a metadata column. source: only the images of
    this ingested source, None = all. where: "station=L1,L2", all must hold. quotas: "station=A:30,B:5-20",
    "station=equal", "class=crack:50". exemplars: an image, a folder of images, or a text file of ids or paths.
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
    command: str = ""


@dataclass(frozen=True)
class Gathered:
    """The inputs of a selection, aligned: one entry per image in the order of image ids."""

    rows: tuple[ImageRow, ...]
    vectors: FloatArray  # (n, components) unit rows
    vectors_name: str
    labels: dict[str, Label]  # image id -> label, evaluation draws left out
    class_names: tuple[str, ...]
    candidates: BoolArray  # (n,) what the filter lets through, known images included
    held_out: npt.NDArray[np.int64]  # rows drawn for evaluation in earlier rounds
    pending: npt.NDArray[np.int64]  # rows of earlier batches that have no label yet
    predictions: Predictions | None
    exemplars: FloatArray | None
    input_hashes: dict[str, str]
    answered: tuple[str, ...]  # evaluation draws that have a label by now; which one is nobody's business here

    @property
    def may_be_picked(self) -> BoolArray:
        """(n,) candidates that are neither labelled, nor on their way, nor held out."""
        known = {*self.labels, *(self.rows[i].image_id for i in (*self.held_out, *self.pending))}
        unknown: BoolArray = np.array([row.image_id not in known for row in self.rows])
        return self.candidates & unknown


@dataclass(frozen=True)
class Known:
    """What the catalog says. resolve: path -> image id. waiting: picked earlier, without a label yet."""

    rows: list[ImageRow]
    labels: dict[str, Label]
    evaluation: set[str]
    waiting: set[str]
    answered: tuple[str, ...]
    resolve: dict[str, str]

    @property
    def ids(self) -> list[str]:
        return [row.image_id for row in self.rows]

    def rows_of(self, image_ids: set[str]) -> npt.NDArray[np.int64]:
        return np.array([i for i, row in enumerate(self.rows) if row.image_id in image_ids], dtype=np.int64)


def gather(workspace: Workspace, request: SelectRequest) -> Gathered:
    """Read everything; embed what has no vector yet, after whatever can be refused has been.

    Raises:
        DataError: no images, a filter that nothing meets, predictions or vectors that do not fit.
    """
    known = read_catalog(workspace, request.source)
    if not known.rows:
        raise DataError("there are no images yet", where=str(workspace.root), hint="run `activesel ingest IMAGES`")
    check_metadata(known, request)  # this and what follows, before an hour of embedding
    predictions = _read_predictions(workspace, request, known)
    _class_names(known.labels, predictions)
    wanted = None
    if request.exemplars is not None:
        own_vectors = request.embeddings is not None
        wanted = find_exemplars(workspace, request.exemplars, known.resolve, known.ids, own_vectors=own_vectors)
    left = _embed_missing(workspace, known, request)
    if left is not known.rows:
        known = _keep(known, left)
        predictions = _read_predictions(workspace, request, known)
    vectors, name = _read_vectors(workspace, request, known)
    exemplars = None if wanted is None else read_exemplars(workspace, wanted, known.ids, vectors)
    hashes = _hash_inputs(request, known, name, predictions, exemplars)
    vectors, queries = _reduce(vectors, exemplars, workspace.config.selection.components)
    return Gathered(
        tuple(known.rows), vectors, name, known.labels, _class_names(known.labels, predictions),
        find_candidates(known.rows, request.where), known.rows_of(known.evaluation), known.rows_of(known.waiting),
        predictions, queries, hashes, known.answered,
    )  # fmt: skip


def find_candidates(rows: Sequence[ImageRow], where: Sequence[str]) -> BoolArray:
    """Return (n,) whether each image meets every filter "COLUMN=VALUE,VALUE".

    Raises:
        DataError: a filter of another form, or no image meets them all.
    """
    for condition in where:
        column, equals, values = condition.partition("=")
        if not (column and equals and values):
            raise DataError("cannot read a filter", where=condition, expected="COLUMN=VALUE or COLUMN=VALUE,VALUE")
    candidates = np.array([_meets(row, where) for row in rows], dtype=bool)
    if not candidates.any():
        raise DataError("no image meets the filter", where=" ".join(where), found=_known_meta(rows))
    return candidates


def read_catalog(workspace: Workspace, source: str | None) -> Known:
    """Of a source alone, as in a one-off selection, earlier picks without a label may be picked again."""
    with Catalog.open(workspace.catalog_path) as catalog:
        rows, labels, evaluation = catalog.images(source), catalog.labels(), catalog.evaluation_ids()
        picked = {image_id for batch in catalog.batches() for image_id in batch.image_ids}
        # A file set aside since the user made predictions is known, though it is no image of the pool any more.
        resolve = {item.path: f"set aside: {item.path}" for item in catalog.quarantined()} | catalog.resolve()
    known = Known(
        rows, {i: label for i, label in labels.items() if i not in evaluation}, evaluation,
        picked - set(labels) - evaluation if source is None else set(),
        tuple(sorted(evaluation & set(labels))), resolve,
    )  # fmt: skip
    return _keep(known, rows)


def check_metadata(known: Known, request: SelectRequest) -> BoolArray:
    """Return (n,) which images may be picked; refuse filters, quotas and costs that do not fit.

    Raises:
        DataError: as said; what needs a model, such as a quota per predicted class, is not looked at.
    """
    taken = known.labels.keys() | known.evaluation | known.waiting
    candidates = find_candidates(known.rows, request.where)
    candidates &= np.array([row.image_id not in taken for row in known.rows])
    for text in request.quotas:
        values = metadata_values(known.rows, text.partition("=")[0])
        if not text.startswith("class=") or any(values):
            parse_quota(text, values, candidates, request.budget if request.cost is None else None)
    if request.cost is not None:
        read_cost(known.rows, request.cost, candidates)
    return candidates


def _keep(known: Known, rows: list[ImageRow]) -> Known:
    """Keep these rows and what is said about them."""
    ids = {row.image_id for row in rows}
    return replace(known, rows=rows, labels={i: label for i, label in known.labels.items() if i in ids})


def _embed_missing(workspace: Workspace, known: Known, request: SelectRequest) -> list[ImageRow]:
    """Embed what is missing. A file that broke since ingest goes to quarantine, and another of the image is tried."""
    rows, broken = known.rows, set[str]()
    while request.embeddings is None:
        failed = embed(workspace, rows).failed
        if not failed:
            break
        broken |= {item.path for item in failed}
        with Catalog.open(workspace.catalog_path) as catalog:
            catalog.add_quarantined(failed, request.source or "embed")
            rows = [row for row in catalog.images(request.source) if str(Path(row.path)) not in broken]
        if not rows:
            raise DataError("no image could be read", found=failed[0].detail, hint="see `activesel status`")
    return rows


def _read_vectors(workspace: Workspace, request: SelectRequest, known: Known) -> tuple[FloatArray, str]:
    if request.embeddings is None:
        return load_vectors(workspace, known.ids), vectors_key(workspace)
    assert request.ids is not None, "checked with the request"
    return read_embeddings(request.embeddings, request.ids, known.resolve, known.ids), request.embeddings.name


def _read_predictions(workspace: Workspace, request: SelectRequest, known: Known) -> Predictions | None:
    if request.predictions is None:
        return None
    scores = workspace.config.scores
    return read_predictions(
        request.predictions, known.resolve, known.ids, reduction=scores.reduction, top_k=scores.reduction_top_k
    )


def _reduce(vectors: FloatArray, exemplars: Exemplars | None, components: int) -> tuple[FloatArray, FloatArray | None]:
    """Reduce pool and exemplars with the same directions."""
    if exemplars is None:
        return reduce_dimensions(vectors, components), None
    both = reduce_dimensions(np.concatenate([vectors, exemplars.vectors.astype(vectors.dtype)]), components)
    return both[: len(vectors)], both[len(vectors) :]


def _meets(row: ImageRow, where: Sequence[str]) -> bool:
    for condition in where:
        column, _, values = condition.partition("=")
        if row.meta.get(column) not in values.split(","):
            return False
    return True


def _known_meta(rows: Sequence[ImageRow]) -> str:
    columns = sorted({column for row in rows for column in row.meta})
    parts = [f"{c}=" + "|".join(sorted({row.meta[c] for row in rows if c in row.meta})[:5]) for c in columns[:5]]
    return "; ".join(parts) if parts else "no metadata at all"


def _class_names(labels: dict[str, Label], predictions: Predictions | None) -> tuple[str, ...]:
    """The classes in a fixed order: the predictions' columns, else the label names sorted.

    Columns without names are "class 0", "class 1", ...: which label each means is not for us to guess; labels follow.
    """
    known = sorted({label.name for label in labels.values()})
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
    request: SelectRequest, known: Known, name: str, predictions: Predictions | None, exemplars: Exemplars | None
) -> dict[str, str]:
    """Name every input by its content; what decides nothing, such as unused metadata, stays out."""
    labels = "\n".join(f"{i},{label.name}" for i, label in sorted(known.labels.items()))
    hashes = {"images": _sha256("\n".join(known.ids).encode()), "labels": _sha256(labels.encode()), "vectors": name}
    texts = [*request.where, *request.quotas, *([request.cost] if request.cost else [])]
    columns = sorted({text.partition("=")[0] for text in texts})
    if columns:
        values = [[row.meta.get(column) for column in columns] for row in known.rows]
        hashes["metadata"] = _sha256(json.dumps([columns, values]).encode())
    if predictions is not None and predictions.uncertainty is not None:
        hashes["uncertainty"] = _sha256(predictions.uncertainty.tobytes())  # pixel maps lie in files of their own
    if exemplars is not None:
        hashes["exemplars"] = _sha256("\n".join(exemplars.image_ids).encode())
    for field in ("predictions", "embeddings", "ids"):
        path = getattr(request, field)
        if path is not None:
            with path.open("rb") as stream:
                hashes[field] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
