"""Bring together what a selection reads from a workspace: images, vectors, labels, predictions, filters, costs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.images import CheckedImage, check_image
from activesel.pipelines.embed import embed, load_vectors, vectors_key
from activesel.predictions import Predictions, read_embeddings, read_predictions
from activesel.projection import reduce_dimensions
from activesel.records import BoolArray, FloatArray, ImageRow, Label, Quarantined
from activesel.sources import read_source
from activesel.vectors import check_vectors
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
    candidates: BoolArray
    held_out: npt.NDArray[np.int64]  # rows drawn for evaluation in earlier rounds
    pending: npt.NDArray[np.int64]  # rows of earlier batches that have no label yet
    predictions: Predictions | None
    exemplars: FloatArray | None
    input_hashes: dict[str, str]

    def rows_of(self, image_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        position = {row.image_id: i for i, row in enumerate(self.rows)}
        return np.array(sorted(position[i] for i in image_ids if i in position), dtype=np.int64)


def gather(workspace: Workspace, request: SelectRequest) -> Gathered:
    """Read everything; embed what has no vector yet.

    Raises:
        DataError: no images, a filter that nothing meets, predictions or vectors that do not fit.
    """
    with Catalog.open(workspace.catalog_path) as catalog:
        rows = catalog.images(request.source)
        labels, evaluation, resolve = catalog.labels(), catalog.evaluation_ids(), catalog.resolve()
        picked = {image_id for batch in catalog.batches() for image_id in batch.image_ids}
    if not rows:
        raise DataError("there are no images yet", where=str(workspace.root), hint="run `activesel ingest IMAGES`")
    rows = _drop_unembeddable(workspace, rows, request)
    ids = [row.image_id for row in rows]
    steering = {i: label for i, label in labels.items() if i not in evaluation}
    vectors, name = _read_vectors(workspace, request, ids, resolve)
    predictions = _read_predictions(workspace, request, resolve, ids)
    exemplars = None if request.exemplars is None else _read_exemplars(workspace, request, resolve, ids, vectors)
    vectors, exemplars = _reduce(vectors, exemplars, workspace.config.selection.components)
    present = {i: steering[i] for i in ids if i in steering}
    candidates = np.array([_meets(row, request.where) for row in rows])
    if not candidates.any():
        raise DataError("no image meets the filter", where=" ".join(request.where), found=_known_meta(rows))
    gathered = Gathered(
        tuple(rows), vectors, name, present, _class_names(present, predictions), candidates,
        held_out=np.empty(0, np.int64), pending=np.empty(0, np.int64), predictions=predictions, exemplars=exemplars,
        input_hashes=_hash_inputs(request, ids, present, name),
    )  # fmt: skip
    waiting = picked - set(labels) - evaluation if request.source is None else set()
    return _with_rows(gathered, sorted(evaluation), sorted(waiting))


def _with_rows(gathered: Gathered, evaluation: Sequence[str], waiting: Sequence[str]) -> Gathered:
    from dataclasses import replace

    return replace(gathered, held_out=gathered.rows_of(evaluation), pending=gathered.rows_of(waiting))


def _drop_unembeddable(workspace: Workspace, rows: list[ImageRow], request: SelectRequest) -> list[ImageRow]:
    """Embed what is missing; images that broke since they were ingested go to quarantine and out of the pool."""
    if request.embeddings is not None:
        return rows
    failed = embed(workspace, rows).failed
    if not failed:
        return rows
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.add_quarantined(failed, request.source or "embed")
    broken = {item.path for item in failed}
    left = [row for row in rows if row.path not in broken]
    if not left:
        raise DataError("no image could be read", found=failed[0].detail, hint="see `activesel status`")
    return left


def _read_vectors(
    workspace: Workspace, request: SelectRequest, ids: list[str], resolve: dict[str, str]
) -> tuple[FloatArray, str]:
    if request.embeddings is None:
        return load_vectors(workspace, ids), vectors_key(workspace)
    if request.ids is None:
        raise DataError("--embeddings without --ids", expected="a text file with one image id or path per row")
    vectors = read_embeddings(request.embeddings, request.ids, resolve, ids)
    return check_vectors(vectors, str(request.embeddings)), request.embeddings.name


def _read_predictions(
    workspace: Workspace, request: SelectRequest, resolve: dict[str, str], ids: list[str]
) -> Predictions | None:
    if request.predictions is None:
        return None
    scores = workspace.config.scores
    return read_predictions(request.predictions, resolve, ids, reduction=scores.reduction, top_k=scores.reduction_top_k)


def _read_exemplars(
    workspace: Workspace, request: SelectRequest, resolve: dict[str, str], ids: list[str], vectors: FloatArray
) -> FloatArray:
    """Vectors of the examples: rows of the pool by id or path, or image files from anywhere, embedded like the pool."""
    assert request.exemplars is not None
    if request.exemplars.suffix.lower() in (".txt", ".csv"):
        names = [line.strip() for line in request.exemplars.read_text(encoding="utf8").splitlines() if line.strip()]
        position = {image_id: i for i, image_id in enumerate(ids)}
        rows = [position.get(resolve.get(name, resolve.get(str(Path(name).resolve()), name))) for name in names]
        if not rows or None in rows:
            bad = names[rows.index(None)] if rows else "nothing"
            raise DataError("an exemplar is not in the pool", where=str(request.exemplars), found=bad)
        return np.asarray(vectors[np.array(rows, dtype=np.int64)])
    if request.embeddings is not None:
        raise DataError("exemplar images need the built-in vectors", where=str(request.exemplars),
                        expected="a .txt file of ids or paths beside --embeddings")  # fmt: skip
    images = _check_exemplar_files(workspace, request.exemplars)
    embed(workspace, images)
    return load_vectors(workspace, [row.image_id for row in images])


def _check_exemplar_files(workspace: Workspace, path: Path) -> list[ImageRow]:
    settings = workspace.config.ingest
    if path.is_dir():
        entries = read_source(str(path), path_pattern=None, labels_from_folders=False).entries
        files = [Path(entry.path) for entry in entries]
    else:
        files = [path]
    rows = {}
    for file in files:
        checked = check_image(file, max_pixels=int(settings.max_megapixels * 1e6),
                              max_bytes=int(settings.max_file_mb * 2**20))  # fmt: skip
        if isinstance(checked, Quarantined):
            raise DataError("an exemplar cannot be used", where=str(file), found=f"{checked.reason}: {checked.detail}")
        assert isinstance(checked, CheckedImage)
        rows[checked.image_id] = ImageRow(
            checked.image_id, str(file.resolve()), checked.width_px, checked.height_px, checked.format
        )
    return list(rows.values())


def _reduce(vectors: FloatArray, exemplars: FloatArray | None, components: int) -> tuple[FloatArray, FloatArray | None]:
    """Reduce pool and exemplars with the same directions."""
    if exemplars is None:
        return reduce_dimensions(vectors, components), None
    both = reduce_dimensions(np.concatenate([vectors, exemplars.astype(vectors.dtype)]), components)
    return both[: len(vectors)], both[len(vectors) :]


def _meets(row: ImageRow, where: Sequence[str]) -> bool:
    for condition in where:
        column, equals, values = condition.partition("=")
        if not equals:
            raise DataError("cannot read a filter", where=condition, expected="COLUMN=VALUE or COLUMN=VALUE,VALUE")
        if row.meta.get(column) not in values.split(","):
            return False
    return True


def _known_meta(rows: Sequence[ImageRow]) -> str:
    columns = sorted({column for row in rows for column in row.meta})
    parts = [f"{c}=" + "|".join(sorted({row.meta[c] for row in rows if c in row.meta})[:5]) for c in columns[:5]]
    return "; ".join(parts) if parts else "no metadata at all"


def _class_names(labels: dict[str, Label], predictions: Predictions | None) -> tuple[str, ...]:
    """The classes in a fixed order: the predictions' columns, else the label names sorted."""
    known = sorted({label.name for label in labels.values()})
    if predictions is None or predictions.classes is None:
        return tuple(known)
    extra = [name for name in known if name not in predictions.classes]
    if extra:
        raise DataError("a label is not among the classes of the predictions", found=", ".join(extra[:3]),
                        expected=", ".join(predictions.classes))  # fmt: skip
    return tuple(predictions.classes)


def _hash_inputs(request: SelectRequest, ids: Sequence[str], labels: dict[str, Label], name: str) -> dict[str, str]:
    label_lines = "\n".join(f"{i},{label.name}" for i, label in sorted(labels.items()))
    hashes = {"images": _sha256("\n".join(ids).encode()), "labels": _sha256(label_lines.encode()), "vectors": name}
    for field in ("predictions", "embeddings", "ids"):
        path = getattr(request, field)
        if path is not None:
            with path.open("rb") as stream:
                hashes[field] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
