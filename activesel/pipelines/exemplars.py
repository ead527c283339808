"""Vectors of the examples that a user wants more of: images of the pool by id or path, or image files from anywhere."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from activesel.catalog import Catalog, Images
from activesel.errors import DataError
from activesel.ids import pack_ids
from activesel.images import check_image
from activesel.pipelines.embed import embed, load_vectors
from activesel.pipelines.space import Space
from activesel.records import FloatArray, ImageRow, Quarantined
from activesel.sources import read_source
from activesel.workspace import Workspace

_IMAGE_ID = re.compile(r"[0-9a-f]{32}")
Wanted = tuple[str, ...] | list[ImageRow]  # ids of images of the pool, or files to embed


def check_focus(focus: str | None, path: Path | None, label_names: Sequence[str]) -> None:
    """Refuse a class that neither an image nor a label shows.

    Raises:
        DataError: as said.
    """
    if focus is not None and path is None and focus not in label_names:
        known = ", ".join(dict.fromkeys(label_names)) or "no label"
        raise DataError("no image is labelled so", where=f"--focus {focus}", found=known,
                        hint="show what it looks like: --exemplars IMAGE, FOLDER or LIST")  # fmt: skip


def find_exemplars(workspace: Workspace, path: Path, images: Images, *, own_vectors: bool) -> Wanted:
    """Return what ``path`` names: an image, every image of a folder, or a text file of ids or paths of the pool.

    images: the pool. own_vectors: the user's, so that nothing can be embedded beside them.

    Raises:
        DataError: a file that is no image, too large or broken, a folder without images, an image not in the pool.
    """
    if path.suffix.lower() in (".txt", ".csv") and not path.is_dir():
        with Catalog.open(workspace.catalog_place) as catalog:
            return _list_images(path, catalog, images)
    if own_vectors:
        raise DataError("exemplar images need the built-in vectors", where=str(path),
                        expected="a .txt file of ids or paths beside --embeddings")  # fmt: skip
    return _check_files(workspace, path)


def read_exemplars(
    workspace: Workspace, wanted: Wanted, images: Images, space: Space
) -> tuple[tuple[str, ...], FloatArray]:
    """Return the exemplars' ids (q,), in the order of the list or the folder, and their vectors in the pool's space.

    Raises:
        DataError: a file that vanished or broke since it was found.
    """
    return _pick_images(wanted, images, space) if isinstance(wanted, tuple) else _embed_files(workspace, wanted, space)


def _list_images(path: Path, catalog: Catalog, images: Images) -> tuple[str, ...]:
    """Return the image ids that a text file names, one id or path a line, relative to the file or to here.

    Raises:
        DataError: not a text file, an empty one, or an image that is not in the pool.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf8").splitlines() if line.strip()]
    except OSError as error:
        raise DataError("cannot read the exemplars", where=str(path), found=error.strerror) from None
    except UnicodeDecodeError:
        raise DataError("not a text file", where=str(path), expected="UTF-8, one image id or path a line") from None
    if not names:
        raise DataError("no exemplar is named", where=str(path), expected="one image id or path a line")
    found = [_find_image(name, catalog, path.parent) for name in names]
    for name, image_id in zip(names, found, strict=True):
        if _find_row(image_id, images) < 0:
            raise DataError("an exemplar is not in the pool", where=str(path), found=name,
                            expected="the id or path of an image of the pool, one a line")  # fmt: skip
    return tuple(dict.fromkeys(found))


def _check_files(workspace: Workspace, path: Path) -> list[ImageRow]:
    """Return an image file, or every image of a folder, once each; they need not be part of the pool.

    Raises:
        DataError: a file that is no image, too large or broken, or a folder without images.
    """
    settings = workspace.config.ingest
    files = [entry.path for entry in read_source(str(path)).entries] if path.is_dir() else [path]
    rows = {}
    for file in files:
        checked = check_image(
            file, max_pixels=round(settings.max_megapixels * 1e6), max_bytes=round(settings.max_file_mb * 1e6)
        )
        if isinstance(checked, Quarantined):
            raise DataError("an exemplar cannot be used", where=str(file), found=f"{checked.reason}: {checked.detail}")
        rows[checked.image_id] = ImageRow(
            checked.image_id, str(file.absolute()), checked.width_px, checked.height_px, checked.format
        )
    return list(rows.values())


def _embed_files(workspace: Workspace, images: list[ImageRow], space: Space) -> tuple[tuple[str, ...], FloatArray]:
    """Embed images like the pool.

    Raises:
        DataError: a file that vanished or broke since it was checked.
    """
    failed = embed(workspace, images).failed
    if failed:
        raise DataError("an exemplar cannot be used", where=failed[0].path, found=failed[0].detail)
    ids = tuple(row.image_id for row in images)
    return ids, space.project(load_vectors(workspace, ids))


def _pick_images(image_ids: tuple[str, ...], images: Images, space: Space) -> tuple[tuple[str, ...], FloatArray]:
    """Take the exemplars' rows from the pool's; those that left the pool stay out."""
    rows = [_find_row(image_id, images) for image_id in image_ids]
    left = tuple(image_id for image_id, row in zip(image_ids, rows, strict=True) if row >= 0)
    if not left:
        raise DataError("none of the exemplars can be read any more", hint="see `activesel status`")
    return left, np.asarray(space.rows[np.array([row for row in rows if row >= 0], dtype=np.int64)])


def _find_row(image_id: str, images: Images) -> int:
    """Return the row of an image, -1 where there is none, or where the text is no id."""
    return int(images.find(pack_ids([image_id]))[0]) if _IMAGE_ID.fullmatch(image_id) else -1


def _find_image(name: str, catalog: Catalog, folder: Path) -> str:
    """As written, then from the list's folder, then from here; the name itself, which may be an id, where none is."""
    for path in (name, os.path.normpath(folder.absolute() / name), os.path.normpath(Path.cwd() / name)):
        image_id = catalog.image_at(path)
        if image_id is not None:
            return image_id
    return name
