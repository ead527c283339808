"""The story of `activesel embed`: images without a vector in, shards out; killed anywhere, it goes on there."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog, Images
from activesel.embedding import Backbone, EmbeddedBatch, VectorStore, embed_images, open_backbone
from activesel.errors import DataError
from activesel.pipelines.bank import bank_path, ensure_bank, vectors_key
from activesel.progress import Advance, show_progress
from activesel.records import ImageRow, Quarantined
from activesel.workspace import Workspace

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbedSummary:
    """What one run did. seconds: of decoding and forward passes, opening the backbone left out."""

    n_new: int
    n_known: int
    failed: tuple[Quarantined, ...]
    seconds: float
    images_per_s: float
    key: str
    dim: int | None  # None only while no image has a vector


def embed(workspace: Workspace, rows: Sequence[ImageRow]) -> EmbedSummary:
    """Give each row a vector that has none; the caller holds the workspace's lock.

    A file that vanished or broke since ingest is listed in ``failed``, never fatal, and tried again by the next run.

    Raises:
        ConfigError, DataError, UnreachableError: from open_backbone; the disk is full.
    """
    broken = ensure_bank(workspace, rows) if rows else ()
    store = open_store(workspace)
    if broken:
        return EmbedSummary(0, 0, broken, 0.0, 0.0, store.key, store.dim)
    for name in store.mend():
        _LOG.warning("%s/%s was damaged and is set aside; its images are embedded again", store.folder, name)
    todo = [rows[i] for i in store.missing([row.image_id for row in rows])]
    todo = list({row.image_id: row for row in todo}.values())
    if not todo:
        return EmbedSummary(0, len(rows), (), 0.0, 0.0, store.key, store.dim)
    settings = workspace.config.embedding
    backbone = open_backbone(settings, None if settings.pooling == "plain" else bank_path(workspace))
    started = time.perf_counter()
    with show_progress("embed", len(todo)) as advance:
        failed = _embed_into(store, backbone, workspace, todo, advance)
    seconds = time.perf_counter() - started
    n_new = len(todo) - len(failed)
    return EmbedSummary(n_new, len(rows) - len(todo), failed, seconds, n_new / seconds, store.key, backbone.dim)


def embed_missing(workspace: Workspace, images: Images) -> Images:
    """Give a vector to each image that has none; return the images that have one then, ``images`` where all do.

    A file that broke since ingest goes to quarantine, and another of the image is tried.

    Raises:
        DataError: no image is left.
    """
    failed: tuple[Quarantined, ...] = ()
    broken: set[str] = set()
    while True:
        missing = open_store(workspace).missing(images.ids)
        rows = images.take(missing)
        hopeless = np.array([str(Path(row.path)) in broken for row in rows], dtype=bool)
        if hopeless.any():
            images = images.keep(np.setdiff1d(np.arange(len(images)), missing[hopeless]))
        todo = [row for row, is_hopeless in zip(rows, hopeless, strict=True) if not is_hopeless]
        failed = embed(workspace, todo).failed if todo else ()
        if not failed:
            return images
        broken |= {item.path for item in failed}
        with Catalog.open(workspace.catalog_place) as catalog:
            catalog.add_quarantined(failed, images.source or "embed")
            images = catalog.list_images(images.source)
        if not len(images):
            raise DataError("no image could be read", found=failed[0].detail, hint="see `activesel status`")


def load_vectors(workspace: Workspace, ids: Sequence[str]) -> npt.NDArray[np.float16]:
    """Return (n, d) unit rows in the order of ``ids``; needs the weights' file to name them, not the network.

    Raises:
        DataError: an image without a vector.
    """
    return open_store(workspace).load(ids)


def load_novelty(workspace: Workspace, ids: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return (n, 5): novelty score, then x0, y0, x1, y1 of its box as shares of width and height; NaN where unknown.

    Higher = odder; in usual deviations of a patch's distance to the bank. Only defect-aware vectors come with it.
    """
    return open_store(workspace).load_novelty(ids)


def open_store(workspace: Workspace) -> VectorStore:
    """Return the vectors of the backbone that the settings name."""
    key = vectors_key(workspace)
    return VectorStore(workspace.vectors_dir / key, key)


def _embed_into(
    store: VectorStore, backbone: Backbone, workspace: Workspace, todo: Sequence[ImageRow], advance: Advance
) -> tuple[Quarantined, ...]:
    settings = workspace.config.embedding
    paths = [Path(row.path) for row in todo]
    max_pixels = round(workspace.config.ingest.max_megapixels * 1e6)
    processes = None if settings.decode_processes == "auto" else settings.decode_processes
    batches = embed_images(backbone, paths, decode_threads=settings.decode_threads, decode_processes=processes,
                           max_pixels=max_pixels)  # fmt: skip
    shard = _OpenShard(store, settings.shard_rows)
    failed: list[Quarantined] = []
    with contextlib.closing(batches):
        try:
            for batch in batches:
                shard.add([todo[i].image_id for i in batch.rows], batch)
                failed += [Quarantined(str(paths[i]), "unreadable", message) for i, message in batch.failed]
                advance(len(batch.rows) + len(batch.failed))
        except KeyboardInterrupt:
            shard.write()  # Ctrl-C loses nothing; kill -9 loses this one shard's work
            raise
    shard.write()
    return tuple(failed)


class _OpenShard:
    """Vectors that wait until they fill a shard."""

    def __init__(self, store: VectorStore, shard_rows: int) -> None:
        self._store = store
        self._shard_rows = shard_rows
        self._ids: list[str] = []
        self._vectors: list[npt.NDArray[np.float16]] = []
        self._novelty: list[tuple[float, ...]] = []

    def add(self, ids: Sequence[str], batch: EmbeddedBatch) -> None:
        self._ids += ids
        self._vectors.append(batch.vectors)
        self._novelty += [(found.score, *found.box) for found in batch.novelty]
        if len(self._ids) >= self._shard_rows:
            self.write()

    def write(self) -> None:
        if self._ids:
            ids, vectors = self._ids, np.concatenate(self._vectors)
            novelty = np.array(self._novelty, np.float32) if self._novelty else None
            self._ids, self._vectors, self._novelty = [], [], []
            self._store.append(ids, vectors, novelty)
