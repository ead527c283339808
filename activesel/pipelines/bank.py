"""The bank of patches of a workspace: made once from a sample of its images, then never changed under its vectors."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.embedding import Backbone, backbone_key, embed_images
from activesel.embedding.backbone import open_patches
from activesel.embedding.banks import BANK_IMAGES, bank_bytes, fit_bank
from activesel.embedding.readout import RawReadOut
from activesel.errors import DataError
from activesel.records import ImageRow, Quarantined
from activesel.seeds import derive_rng
from activesel.workspace import Workspace, write_atomic

_LOG = logging.getLogger(__name__)

MOST_NUMBERS = 1 << 25  # in the patches that a bank is made from; networks with large maps read fewer images


def bank_path(workspace: Workspace) -> Path:
    """Return where the bank that the settings ask for is, or will be: one per network, tiling and kind of images."""
    settings = workspace.config.embedding
    plain = backbone_key(settings)
    identity = f"{plain}\n{settings.tiles}\n{settings.good!r}"
    return workspace.vectors_dir / f"bank-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.safetensors"


def vectors_key(workspace: Workspace) -> str:
    """Return what names the vectors that the settings ask for; other weights or another bank, another key."""
    settings = workspace.config.embedding
    return backbone_key(settings, None if settings.pooling == "plain" else bank_path(workspace))


def ensure_bank(workspace: Workspace, rows: Sequence[ImageRow]) -> tuple[Quarantined, ...]:
    """Make the bank where the settings ask for one and there is none; killed on the way, the next run starts it anew.

    The images are drawn at random from ``rows``, without labels, or from those labelled ``embedding.good``. Returns
    what is wrong with each of ``rows`` where not one can be read, and else nothing: embedding tells of the others.

    Raises:
        DataError: no image with that label, or none of them that can be read.
    """
    path = bank_path(workspace)
    if workspace.config.embedding.pooling == "plain" or path.exists():
        return ()
    order, failed = _draw(workspace, rows), []
    reader = open_patches(workspace.config.embedding)
    step = min(BANK_IMAGES, max(1, MOST_NUMBERS // reader.dim))
    for start in range(0, len(order), step):
        patches, broken = _read_patches(workspace, reader, order[start : start + step])
        if patches is not None:
            write_atomic(path, bank_bytes(fit_bank(patches, derive_rng(workspace.config.seed, "bank", "patches"))))
            _LOG.info("made a bank of patches from %d images: %s", len(patches), path)
            return ()
        failed += broken
    good = workspace.config.embedding.good
    if good is not None:
        raise DataError("no image with the label of good ones could be read", where="embedding.good",
                        found=f"{len(failed)} labelled {good!r}", hint=failed[0].detail)  # fmt: skip
    return tuple(failed)


def _draw(workspace: Workspace, rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Return the rows that may make the bank in random order, which depends on the seed and the images alone."""
    by_id = {row.image_id: row for row in rows}
    good = workspace.config.embedding.good
    if good is not None:
        with Catalog.open(workspace.catalog_place) as catalog:
            by_id = {row.image_id: row for row in catalog.images()}
            labels = catalog.labels_of(by_id)
        by_id = {image_id: row for image_id, row in by_id.items() if labels.get(image_id) == good}
        if not by_id:
            raise DataError("no image has the label of good ones", where="embedding.good", found=repr(good),
                            expected="a label of the catalog",
                            hint="ingest labels first, or set it to null")  # fmt: skip
    ids = sorted(by_id)
    return [by_id[ids[i]] for i in derive_rng(workspace.config.seed, "bank", "images").permutation(len(ids))]


def _read_patches(
    workspace: Workspace, reader: Backbone, rows: Sequence[ImageRow]
) -> tuple[npt.NDArray[np.float32] | None, list[Quarantined]]:
    """Return the raw patches (n, m, c) of the images that can be read, None without any, and the others."""
    threads, max_pixels = workspace.config.embedding.decode_threads, round(workspace.config.ingest.max_megapixels * 1e6)
    paths = [Path(row.path) for row in rows]
    found, failed = [], []
    batches = embed_images(reader, paths, decode_threads=threads, max_pixels=max_pixels)
    with contextlib.closing(batches):
        for batch in batches:
            found += [batch.vectors] if len(batch.vectors) else []
            failed += [Quarantined(str(paths[i]), "unreadable", message) for i, message in batch.failed]
    read_out = reader.read_out
    assert isinstance(read_out, RawReadOut)
    if not found:
        return None, failed
    return np.concatenate(found).astype(np.float32).reshape(-1, read_out.n_patches, read_out.channels), failed
