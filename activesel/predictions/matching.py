"""Which row of the user's file belongs to which image of the pool, by image id or by path."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError


@dataclass(frozen=True)
class Matched:
    """Where each image's row is.

    rows: (n,) the file's row of each image asked for, -1 where it has none. n_ignored: rows of other known images.
    """

    rows: npt.NDArray[np.int64]
    n_ignored: int


def match_rows(
    names: Sequence[str | None], resolve: Mapping[str, str], image_ids: Sequence[str], *, where: str, folder: Path
) -> Matched:
    """Match each name (image id or path, relative ones also looked up beside the file) to an image.

    resolve: path -> image id, of every image known. Rows of known images that are not in image_ids are ignored.

    Raises:
        DataError: an empty name, names of no known image, or two rows for one image.
    """
    known = set(resolve.values()) | set(image_ids)
    wanted = {image_id: position for position, image_id in enumerate(image_ids)}
    rows = np.full(len(image_ids), -1, np.int64)
    first_row: dict[str, int] = {}
    unknown: list[str] = []
    for row, name in enumerate(names):
        if not name:
            raise DataError("no image id or path", where=f"{where}, row {row}", expected="one in every row")
        image_id = name if name in known else _resolve_path(name, resolve, folder)
        if image_id is None:
            unknown.append(name)
            continue
        if image_id in first_row:
            raise DataError("two rows for one image", where=f"{where}, row {row}",
                            found=f"{name}, already in row {first_row[image_id]}")  # fmt: skip
        first_row[image_id] = row
        if image_id in wanted:
            rows[wanted[image_id]] = row
    if unknown:
        raise DataError(f"{len(unknown)} of {len(names)} rows name no known image", where=where,
                        found=", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else ""),
                        expected="ids or paths of ingested images",
                        hint="check the paths, or run `activesel ingest`")  # fmt: skip
    return Matched(rows, len(first_row) - int((rows >= 0).sum()))


def _resolve_path(name: str, resolve: Mapping[str, str], folder: Path) -> str | None:
    """As written, then normalised from the file's folder, then with links followed."""
    if name in resolve:
        return resolve[name]
    beside = os.path.normpath(folder.absolute() / name)
    if beside in resolve:
        return resolve[beside]
    try:
        return resolve.get(str(Path(beside).resolve()))
    except (OSError, ValueError):  # a name no file can have, such as one with a NUL
        return None
