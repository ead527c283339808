"""Labelled vectors from where users keep them: images with labels, or one .npz of arrays; never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from activesel.benchmark.dataset import Dataset
from activesel.catalog import Catalog, Images
from activesel.duplicates import group_near_duplicates
from activesel.errors import DataError, UsageError
from activesel.index import knn_graph
from activesel.labels import ImageLookup, find_format, read_labels
from activesel.labels.table import read_column
from activesel.pipelines.embed import embed_missing, load_vectors
from activesel.pipelines.gather import Known, read_catalog
from activesel.pipelines.ingest import ingest
from activesel.records import FloatArray, IntArray
from activesel.vectors import check_vectors
from activesel.workspace import Workspace

MAX_CLASSES = 1000
MAX_EXPANSION = 100  # of a compressed array, against bombs,
MIN_COMPRESSED = 1 << 20  # where that is more than a hundred of these bytes
NEIGHBOURS = 32


def read_arrays(path: Path, similarity: float) -> tuple[Dataset, tuple[str, ...]]:
    """Read vectors (n, d), labels (n,) and, if it has them, groups (n,) from an .npz; further arrays are left alone.

    Returns the dataset and notes on it. Without groups near-duplicates from this cosine on are one.

    Raises:
        DataError: not an .npz, an array that is absent, of Python objects, of another shape or length, or not finite.
    """
    arrays = _load(path)
    vectors = check_vectors(arrays["vectors"], f"{path}: vectors")
    labels = _as_texts(path, "labels", arrays["labels"], len(vectors))
    if "groups" in arrays:
        return make_dataset(vectors, labels, _as_texts(path, "groups", arrays["groups"], len(vectors)), str(path)), ()
    return _group_by_likeness(vectors, labels, similarity, str(path))


def read_images(
    workspace: Workspace, source: str, labels: Path | None, group_column: str | None
) -> tuple[Dataset, tuple[str, ...]]:
    """Ingest ``source``, embed it, and return its labelled images; the caller holds the lock. A rerun embeds nothing.

    Raises:
        DataError: bad images or labels, fewer than two classes, an image without a group. UsageError: no such column.
    """
    found = ingest(workspace, source, labels=labels)
    known = read_catalog(workspace, found.source)
    where = str(labels or source)
    texts = _read_texts(workspace, known, labels)
    rows = np.array([row for row, name in enumerate(known.images.names()) if name in texts], np.int64)
    if not len(rows):
        raise DataError("no image has a label", where=where, hint="name a label file with --labels")
    images = embed_missing(workspace, known.images.keep(rows))
    ids = [image_id for image_id in images.names() if image_id in texts]
    names = [texts[image_id] for image_id in ids]
    vectors = check_vectors(load_vectors(workspace, ids), where)
    left_out = len(known.images) - len(ids)
    notes = (f"{left_out} images without a label or a vector are left out",) if left_out else ()
    if group_column is None:
        dataset, more = _group_by_likeness(vectors, names, workspace.config.duplicates.similarity, where)
        return dataset, (*notes, *more)
    groups = _read_groups(workspace, images, labels, group_column)
    missing = [image_id for image_id in ids if not groups.get(image_id)]
    if missing:
        raise DataError(f"{len(missing)} of {len(ids)} images have no {group_column!r}", where=where,
                        expected="a group for every labelled image")  # fmt: skip
    return make_dataset(vectors, names, [groups[image_id] for image_id in ids], where), notes


def make_dataset(vectors: FloatArray, labels: Sequence[str], groups: Sequence[str] | IntArray, where: str) -> Dataset:
    """Number classes by the alphabet and groups likewise.

    Raises:
        DataError: fewer than two classes, so many that labels must be something else, or a class in one group alone.
    """
    names, classes = np.unique(np.asarray(labels), return_inverse=True)
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError("not a set of classes", where=where, found=f"{len(names)} different labels",
                        expected=f"2 to {MAX_CLASSES}")  # fmt: skip
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    for number, name in enumerate(names):
        if len(np.unique(numbers[classes == number])) < 2:
            raise DataError("a class with one group of images cannot be on both sides of a split", where=where,
                            found=repr(str(name)), expected="two groups or more of every class",
                            hint="merge the class with another, or check the group column")  # fmt: skip
    return Dataset(vectors, classes.astype(np.int64), tuple(map(str, names)), numbers.astype(np.int64))


def _group_by_likeness(
    vectors: FloatArray, labels: Sequence[str], similarity: float, where: str
) -> tuple[Dataset, tuple[str, ...]]:
    graph = knn_graph(np.asarray(vectors, np.float32), min(NEIGHBOURS, len(vectors) - 1), seed=0)
    groups = group_near_duplicates(graph, similarity)
    note = (f"no groups were given: images from a cosine of {similarity:g} on count as one group and stay on one side; "
            f"{groups.max() + 1} groups")  # fmt: skip
    return make_dataset(vectors, labels, groups.astype(np.int64), where), (note,)


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as stream:
            return _read_members(path, stream)
    except FileNotFoundError:
        raise DataError("no such file", where=str(path)) from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, MemoryError, NotImplementedError) as error:
        hint = "save text as numpy strings: np.array(labels, dtype=str)" if "Object arrays" in str(error) else None
        raise DataError("not an .npz that can be read", where=str(path), found=str(error).split("\n")[0] or "damage",
                        expected="arrays of numbers and text, saved by numpy.savez", hint=hint) from None  # fmt: skip


def _read_members(path: Path, stream: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            if member.file_size > MAX_EXPANSION * max(member.compress_size, MIN_COMPRESSED):
                raise DataError("an array expands to far more than its file", where=f"{path}: {member.filename}",
                                found=f"{member.compress_size} bytes that become {member.file_size}",
                                expected=f"at most {MAX_EXPANSION} times as many")  # fmt: skip
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as stored:
        absent = [name for name in ("vectors", "labels") if name not in stored.files]
        if absent:
            raise DataError(f"no array called {absent[0]}", where=str(path),
                            found=", ".join(stored.files) or "none at all",
                            expected="vectors, labels and perhaps groups")  # fmt: skip
        return {name: stored[name] for name in ("vectors", "labels", "groups") if name in stored.files}


def _as_texts(path: Path, name: str, values: npt.NDArray[Any], n: int) -> list[str]:
    if values.shape != (n,):
        raise DataError(f"{name} do not fit the vectors", where=str(path), found=f"shape {values.shape}",
                        expected=f"({n},)")  # fmt: skip
    if values.dtype.kind not in "iuUb":
        raise DataError(f"{name} are neither text nor whole numbers", where=str(path), found=str(values.dtype))
    return [str(value) for value in values]


def _read_texts(workspace: Workspace, known: Known, labels: Path | None) -> dict[str, str]:
    """Return image id -> label as this file says; labels of an earlier one, which the catalog keeps, do not count."""
    if labels is None:
        return dict(zip(known.images.names(known.labelled), known.label_names, strict=True))
    return {label.image_id: label.name for label in read_labels(labels, _open_lookup(workspace))}


def _open_lookup(workspace: Workspace) -> ImageLookup:
    with Catalog.open(workspace.catalog_place) as catalog:
        return ImageLookup(catalog.resolve(), (one.path for one in catalog.quarantined()))


def _read_groups(workspace: Workspace, images: Images, labels: Path | None, column: str) -> Mapping[str, str]:
    """Return image id -> group, from the label file where it has the column, else from the metadata."""
    if labels is not None and find_format(labels).name == "csv":
        found = read_column(labels, column, _open_lookup(workspace))
        if found is not None:
            return found
    known = images.columns()
    if column not in known:
        raise UsageError("no such column", where=f"--group-column {column}",
                         expected=", ".join(sorted(known)) or "a column of the labels or the manifest")  # fmt: skip
    values = known[column].values
    codes = known[column].codes.tolist()
    return {name: values[code] for name, code in zip(images.names(), codes, strict=True) if code >= 0}
