"""The real images of a proof: label file in; classes, groups and vectors out, and the label file of a fold's side."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.catalog import Catalog
from activesel.duplicates import group_near_duplicates
from activesel.embedding import Backbone, embed_images, open_backbone
from activesel.errors import DataError
from activesel.index import knn_graph
from activesel.pipelines.bank import bank_path, vectors_key
from activesel.pipelines.embed import embed_missing, load_vectors
from activesel.pipelines.ingest import ingest
from activesel.records import FloatArray, IntArray
from activesel.training.mixture import Labelled
from activesel.workspace import Workspace, write_atomic
from synth.labels_file import LabelTable
from synth.records import Example

_NEIGHBOURS = 32


@dataclass(frozen=True)
class RealSet:
    """Row i of ``labelled`` is image paths[i], of class names[classes[i]]. notes: sentences."""

    table: LabelTable
    paths: tuple[str, ...]
    names: tuple[str, ...]
    labelled: Labelled
    notes: tuple[str, ...]

    def number_of(self, label: str) -> int:
        """Return the number of a class.

        Raises:
            DataError: no image shows it.
        """
        if label not in self.names:
            raise DataError("no real image shows this class, so nothing can be proved", where=self.table.source,
                            found=", ".join(self.names), expected=repr(label))  # fmt: skip
        return self.names.index(label)


def read_real(workspace: Workspace, table: LabelTable, label: str) -> RealSet:
    """Embed the labelled images in the workspace, whose lock the caller holds; a rerun embeds nothing.

    An image with several rows counts as ``label`` if one says so, else as its first row. Without a group column
    near-duplicates are one group, by the cosine that the settings name.

    Raises:
        DataError: fewer than two classes, or no image that can be read.
    """
    by_path: dict[str, list[Example]] = defaultdict(list)
    for example in table.examples:
        by_path[example.path].append(example)
    vectors = _embed_real(workspace, table, sorted(by_path))
    paths = tuple(vectors)
    rows = [by_path[path] for path in paths]
    texts = [label if any(one.label == label for one in some) else some[0].label for some in rows]
    names, classes = np.unique(np.asarray(texts), return_inverse=True)
    if len(names) < 2:
        raise DataError("not a set of classes", where=table.source, found=f"{len(names)} label",
                        expected=f"{label} and the images that are not")  # fmt: skip
    stacked = np.stack([vectors[path] for path in paths]).astype(np.float32)
    notes = [f"{len(by_path) - len(paths)} images cannot be read and are left out"] if len(paths) < len(by_path) else []
    groups, note = _group(workspace, stacked, rows)
    labelled = Labelled(stacked, classes.astype(np.int64), groups, len(names))
    return RealSet(table, paths, tuple(map(str, names)), labelled, (*notes, note))


def write_side(path: Path, real: RealSet, rows: IntArray) -> None:
    """Write the label file of some of the images, with the numbers of their groups: all that a fold may know."""
    group_of = {real.paths[row]: str(real.labelled.groups[row]) for row in rows}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "mask", "part", "group", "x0", "y0", "x1", "y1"])
    for one in real.table.examples:
        if one.path in group_of:
            writer.writerow([one.path, one.label, one.mask or "", real.table.parts.get(one.path, ""),
                             group_of[one.path], *(one.box or ("",) * 4)])  # fmt: skip
    write_atomic(path, text.getvalue())


class FileEmbedder:
    """Files to unit rows as the workspace's own images have them, kept beside the files. seconds: of processor time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._backbone: Backbone | None = None
        self.seconds = 0.0

    def __call__(self, paths: Sequence[Path], kept: Path) -> FloatArray:
        """Return (n, d); kept in the folder ``kept``, by the name of the backbone, for files that stay what they are.

        Raises:
            DataError: a file that cannot be read.
        """
        kept = kept / f"vectors-{vectors_key(self._workspace)}.npy"
        with contextlib.suppress(OSError, ValueError):
            found = np.load(kept, allow_pickle=False)
            if found.ndim == 2 and len(found) == len(paths):
                return np.asarray(found, np.float32)
        started = time.process_time()
        vectors = self._embed(paths)
        self.seconds += time.process_time() - started
        stream = io.BytesIO()
        np.save(stream, vectors.astype(np.float16))
        write_atomic(kept, stream.getvalue())
        return np.asarray(vectors.astype(np.float16), np.float32)

    def _embed(self, paths: Sequence[Path]) -> FloatArray:
        settings = self._workspace.config
        if self._backbone is None:
            bank = None if settings.embedding.pooling == "plain" else bank_path(self._workspace)
            self._backbone = open_backbone(settings.embedding, bank)
        found = [np.empty((0, self._backbone.dim), np.float32)]
        batches = embed_images(self._backbone, paths, decode_threads=settings.embedding.decode_threads,
                               max_pixels=round(settings.ingest.max_megapixels * 1e6))  # fmt: skip
        with contextlib.closing(batches):
            for batch in batches:
                if batch.failed:
                    raise DataError(batch.failed[0][1], where=str(paths[batch.failed[0][0]]))
                found.append(batch.vectors.astype(np.float32))
        rows = np.concatenate(found)
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _embed_real(workspace: Workspace, table: LabelTable, paths: Sequence[str]) -> dict[str, FloatArray]:
    """Return path -> (d,) unit row of each image that can be read, in the order of paths."""
    manifest = workspace.state / "proof" / "images.csv"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["path"], *([path] for path in paths)])
    write_atomic(manifest, text.getvalue())
    source = ingest(workspace, str(manifest)).source
    with Catalog.open(workspace.catalog_place) as catalog:
        images, ids_by_path = catalog.list_images(source), catalog.resolve()
    if not len(images):
        raise DataError("no image can be read", where=table.source)
    usable = set(embed_missing(workspace, images).names())
    known = [path for path in paths if ids_by_path.get(path) in usable]
    vectors = load_vectors(workspace, [ids_by_path[path] for path in known])
    return dict(zip(known, vectors, strict=True))


def _group(workspace: Workspace, vectors: FloatArray, rows: Sequence[Sequence[Example]]) -> tuple[IntArray, str]:
    """Return (n,) group numbers and a note: the label file's, or near-duplicates where it names none (its group is
    the path then)."""
    texts = [some[0].group for some in rows]
    if not all(one[0].path.endswith(os.path.normpath(text)) for one, text in zip(rows, texts, strict=True)):
        numbers = np.unique(np.asarray(texts), return_inverse=True)[1]
        return numbers.astype(np.int64), f"{numbers.max() + 1} groups, as the label file says"
    similarity = workspace.config.duplicates.similarity
    graph = knn_graph(np.asarray(vectors, np.float32), min(_NEIGHBOURS, len(vectors) - 1), seed=0)
    groups = group_near_duplicates(graph, similarity).astype(np.int64)
    return groups, f"no groups were given: images from a cosine of {similarity:g} on count as one; {groups.max() + 1}"
