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
from activesel.embedding import backbone_key, embed_images
from activesel.embedding.backbone import open_patches
from activesel.embedding.banks import BANK_IMAGES, bank_bytes, fit_bank
from activesel.embedding.readout import RawReadOut
from activesel.errors import DataError
from activesel.records import ImageRow
from activesel.seeds import derive_rng
from activesel.workspace import Workspace, write_atomic

_LOG = logging.getLogger(__name__)


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


def ensure_bank(workspace: Workspace, rows: Sequence[ImageRow]) -> None:
    """Make the bank where the settings ask for one and there is none; killed on the way, the next run starts it anew.

    The images are drawn at random from ``rows``, without labels, or from those labelled ``embedding.good``.

    Raises:
        DataError: no image with that label, or none that can be read.
    """
    path = bank_path(workspace)
    if workspace.config.embedding.pooling == "plain" or path.exists():
        return
    chosen = _draw(workspace, rows)
    patches = _read_patches(workspace, chosen)
    if patches is None:
        raise DataError("no image for the bank of patches could be read", found=f"{len(chosen)} tried",
                        hint="see `activesel status`")  # fmt: skip
    write_atomic(path, bank_bytes(fit_bank(patches, derive_rng(workspace.config.seed, "bank", "patches"))))
    _LOG.info("made a bank of patches from %d images: %s", len(chosen), path)


def _draw(workspace: Workspace, rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Return up to BANK_IMAGES rows; which ones depends on the seed and the images, not on their order."""
    by_id = {row.image_id: row for row in rows}
    good = workspace.config.embedding.good
    if good is not None:
        with Catalog.open(workspace.catalog_path) as catalog:
            by_id = {row.image_id: row for row in catalog.images()}
            labels = catalog.labels_of(by_id)
        by_id = {image_id: row for image_id, row in by_id.items() if labels.get(image_id) == good}
        if not by_id:
            raise DataError("no image has the label of good ones", where="embedding.good", found=repr(good),
                            expected="a label of the catalog",
                            hint="ingest labels first, or set it to null")  # fmt: skip
    ids = sorted(by_id)
    rng = derive_rng(workspace.config.seed, "bank", "images")
    return [by_id[ids[i]] for i in np.sort(rng.choice(len(ids), min(BANK_IMAGES, len(ids)), replace=False))]


def _read_patches(workspace: Workspace, rows: Sequence[ImageRow]) -> npt.NDArray[np.float32] | None:
    """Return the raw patches of the images that can be read, (n, m, c)."""
    settings = workspace.config.embedding
    backbone = open_patches(settings)
    paths = [Path(row.path) for row in rows]
    max_pixels = round(workspace.config.ingest.max_megapixels * 1e6)
    batches = embed_images(backbone, paths, decode_threads=settings.decode_threads, max_pixels=max_pixels)
    with contextlib.closing(batches):
        found = [batch.vectors for batch in batches if len(batch.vectors)]
    if not found:
        return None
    read_out = backbone.read_out
    assert isinstance(read_out, RawReadOut)
    return np.concatenate(found).astype(np.float32).reshape(-1, read_out.n_patches, read_out.channels)
