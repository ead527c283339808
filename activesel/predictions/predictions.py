"""predictions.parquet to arrays in the order of the pool: the story of reading it, top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.predictions.columns import read_mc_probs, read_names, read_probs, read_table
from activesel.predictions.matching import match_rows
from activesel.predictions.regions import read_region_uncertainty
from activesel.records import BoolArray
from activesel.uncertainty import Reduction


@dataclass(frozen=True)
class Predictions:
    """What the user's model says about n images, in the order asked for; rows of missing images are NaN.

    probs: (n, c) rows sum to 1, or None where the file has regions only. mc_probs: (n, t, c) or None.
    uncertainty: (n,) 0..1, higher = more worth labelling, from boxes or pixels, or None. classes: c names, or None.
    missing: (n,) bool, images without a row. n_ignored: rows of known images that were not asked for.
    """

    probs: npt.NDArray[np.float32] | None
    mc_probs: npt.NDArray[np.float32] | None
    uncertainty: npt.NDArray[np.float32] | None
    classes: tuple[str, ...] | None
    missing: BoolArray
    n_ignored: int

    @property
    def n_missing(self) -> int:
        return int(self.missing.sum())


def read_predictions(
    path: Path,
    resolve: Mapping[str, str],
    image_ids: Sequence[str],
    *,
    reduction: Reduction = "max",
    top_k: int = 5,
    max_missing: float = 0.0,
) -> Predictions:
    """Read a Parquet or CSV file of predictions (docs/formats_predictions.md) for the images ``image_ids``.

    resolve: path -> image id of every image known. reduction, top_k: from boxes or pixels to one uncertainty per image.
    max_missing: share of images that may lack a row, 0..1; 0 because a model that skipped images would hide them.

    Raises:
        DataError: the file cannot be read, or any row is wrong; the message names the row (the first is 0).
    """
    table = read_table(path)
    where = str(path)
    matched = match_rows(read_names(table, where), resolve, image_ids, where=where, folder=path.parent)
    missing = matched.rows < 0
    if missing.sum() > max_missing * len(image_ids):
        first = image_ids[int(missing.argmax())]
        raise DataError(f"{missing.sum()} of {len(image_ids)} images have no row", where=where,
                        found=f"none for {first}", expected=f"at most a share of {max_missing:g}",
                        hint="predict every image of the pool, or filter the pool to those predicted")  # fmt: skip
    probs, classes = read_probs(table, where)
    mc_probs = read_mc_probs(table, where)
    if probs is None and mc_probs is not None:
        probs = mc_probs.mean(axis=1)
    _check_classes_agree(probs, mc_probs, classes, where)
    uncertainty = read_region_uncertainty(table, path, reduction, top_k)
    return Predictions(
        _align(probs, matched.rows), _align(mc_probs, matched.rows), _align(uncertainty, matched.rows),
        classes, missing, matched.n_ignored,
    )  # fmt: skip


def _check_classes_agree(
    probs: npt.NDArray[Any] | None, mc_probs: npt.NDArray[Any] | None, classes: tuple[str, ...] | None, where: str
) -> None:
    if probs is None:
        return
    n_classes = probs.shape[1]
    if mc_probs is not None and mc_probs.shape[2] != n_classes:
        raise DataError("probs and mc_probs differ in their number of classes", where=where,
                        found=f"{n_classes} and {mc_probs.shape[2]}")  # fmt: skip
    if classes is not None and len(classes) != n_classes:
        raise DataError("class names and probabilities differ in number", where=where,
                        found=f"{len(classes)} names, {n_classes} probabilities")  # fmt: skip


def _align(values: npt.NDArray[np.float32] | None, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
    if values is None:
        return None
    aligned = values[rows]
    aligned[rows < 0] = np.nan
    return aligned
