"""Vectors of the examples that a user wants more of: images of the pool by id or path, or image files from anywhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.errors import DataError
from activesel.images import check_image
from activesel.pipelines.embed import embed, load_vectors
from activesel.records import FloatArray, ImageRow, Quarantined
from activesel.sources import read_source
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Exemplars:
    """image_ids: q ids, in the order of the list or the folder. vectors: (q, d) unit rows."""

    image_ids: tuple[str, ...]
    vectors: FloatArray


Wanted = tuple[str, ...] | list[ImageRow]  # ids of images of the pool, or files to embed


def find_exemplars(
    workspace: Workspace, path: Path, resolve: Mapping[str, str], ids: Sequence[str], *, own_vectors: bool
) -> Wanted:
    """Return what ``path`` names: an image, every image of a folder, or a text file of ids or paths of the pool.

    resolve: path -> image id. ids: of the pool. own_vectors: the user's, so that nothing can be embedded beside them.

    Raises:
        DataError: a file that is no image, too large or broken, a folder without images, an image not in the pool.
    """
    if path.suffix.lower() in (".txt", ".csv") and not path.is_dir():
        return _list_images(path, resolve, ids)
    if own_vectors:
        raise DataError("exemplar images need the built-in vectors", where=str(path),
                        expected="a .txt file of ids or paths beside --embeddings")  # fmt: skip
    return _check_files(workspace, path)


def read_exemplars(workspace: Workspace, wanted: Wanted, ids: Sequence[str], vectors: FloatArray) -> Exemplars:
    """Return the exemplars' vectors, taken from the pool's (n, d), or embedded like the pool.

    Raises:
        DataError: a file that vanished or broke since it was found.
    """
    return _pick_images(wanted, ids, vectors) if isinstance(wanted, tuple) else _embed_files(workspace, wanted)


def _list_images(path: Path, resolve: Mapping[str, str], ids: Sequence[str]) -> tuple[str, ...]:
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
    pool = set(ids)
    found = [_find_image(name, resolve, path.parent) for name in names]
    for name, image_id in zip(names, found, strict=True):
        if image_id not in pool:
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


def _embed_files(workspace: Workspace, images: list[ImageRow]) -> Exemplars:
    """Embed images like the pool.

    Raises:
        DataError: a file that vanished or broke since it was checked.
    """
    failed = embed(workspace, images).failed
    if failed:
        raise DataError("an exemplar cannot be used", where=failed[0].path, found=failed[0].detail)
    ids = tuple(row.image_id for row in images)
    return Exemplars(ids, load_vectors(workspace, ids))


def _pick_images(image_ids: tuple[str, ...], ids: Sequence[str], vectors: FloatArray) -> Exemplars:
    """Take the exemplars' vectors from the pool's: vectors (n, d), one per id; those that left the pool stay out."""
    position = {image_id: i for i, image_id in enumerate(ids)}
    left = tuple(image_id for image_id in image_ids if image_id in position)
    if not left:
        raise DataError("none of the exemplars can be read any more", hint="see `activesel status`")
    return Exemplars(left, np.asarray(vectors[np.array([position[i] for i in left], dtype=np.int64)]))


def _find_image(name: str, resolve: Mapping[str, str], folder: Path) -> str:
    """As written, then from the list's folder, then from here; the name itself, which may be an id, where none is."""
    for path in (name, os.path.normpath(folder.absolute() / name), os.path.normpath(Path.cwd() / name)):
        if path in resolve:
            return resolve[path]
    return name
