"""One uncertainty per image from what a detector or segmenter says about its boxes or pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.predictions.columns import flatten_lists
from activesel.predictions.embeddings import load_array
from activesel.uncertainty import SUM_TOLERANCE, Reduction, check_probs, reduce_regions, score_margin

MAX_PIXEL_VALUES = 1 << 30  # classes x height x width of one file
BLOCK_VALUES = 1 << 22


def read_region_uncertainty(table: Any, path: Path, how: Reduction, top_k: int) -> npt.NDArray[np.float32] | None:
    """Return (rows,) uncertainty 0..1, higher = more worth labelling, from box_probs or pixel_probs; None without.

    Each box or pixel scores its margin, 1 - (p1 - p2). Class probabilities that sum to less than 1 leave the rest to
    the background, so one probability "defect" per pixel is enough.
    """
    if "box_probs" in table.column_names:
        return _score_boxes(table, str(path), how, top_k)
    if "pixel_probs" not in table.column_names:
        return None
    names = table.column("pixel_probs").to_pylist()
    scores = [_score_pixels(_find_inside(name, path, row), how, top_k) for row, name in enumerate(names)]
    return np.array(scores, np.float32)


def _score_boxes(table: Any, where: str, how: Reduction, top_k: int) -> npt.NDArray[np.float32]:
    where = f"{where}, column box_probs"
    boxes, n_boxes = flatten_lists(table.column("box_probs"), where, nested=True)
    if "boxes" in table.column_names:
        given = flatten_lists(table.column("boxes"), where, nested=True)[1]
        odd = np.flatnonzero(given != n_boxes)
        if len(odd):
            raise DataError("boxes and box_probs differ in number", where=f"{where}, row {odd[0]}",
                            found=f"{given[odd[0]]} boxes, {n_boxes[odd[0]]} lists of probabilities")  # fmt: skip
    if n_boxes.sum() == 0:
        return np.zeros(table.num_rows, np.float32)
    values, lengths = flatten_lists(boxes, where)
    rows = np.repeat(np.arange(table.num_rows), n_boxes)
    odd = np.flatnonzero(lengths != lengths[0])
    if len(odd) or lengths[0] == 0:
        at = int(odd[0]) if len(odd) else 0
        raise DataError("boxes differ in their number of classes", where=f"{where}, row {rows[at]}",
                        found=f"{lengths[at]}", expected=f"{max(lengths[0], 1)}")  # fmt: skip
    probs = _with_background(values.reshape(-1, lengths[0]), where, rows)
    return reduce_regions(score_margin(probs), rows, table.num_rows, how, top_k)


def _with_background(
    probs: npt.NDArray[Any], where: str, rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float32]:
    """Append 1 - sum as the background where probabilities leave room for one, and check them."""
    rest = 1.0 - probs.sum(axis=1, dtype=np.float64)
    bad = ~np.isfinite(rest) | (rest < -SUM_TOLERANCE) | (probs < 0).any(axis=1)
    if bad.any():
        at = int(bad.argmax())
        place = where if rows is None else f"{where}, row {rows[at]}"
        raise DataError("class probabilities of a box or pixel are not probabilities", where=place,
                        found=", ".join(f"{value:.4g}" for value in probs[at][:6]),
                        expected="0..1, together at most 1 (the rest is background)")  # fmt: skip
    return check_probs(np.column_stack([probs, np.maximum(rest, 0)]), None, where)


def _find_inside(name: str | None, path: Path, row: int) -> Path:
    """Return the file that ``name`` means beside the predictions, refusing any outside of that folder."""
    where = f"{path}, column pixel_probs, row {row}"
    folder = path.parent.resolve()
    if not name or "\0" in name:
        raise DataError("no file named", where=where, expected="the path of an .npy file")
    target = (folder / name).resolve()
    if not target.is_relative_to(folder) or target.suffix != ".npy":
        raise DataError("not an .npy file in the folder of the predictions", where=where, found=name,
                        expected=f"a file below {folder}")  # fmt: skip
    if not target.is_file():
        raise DataError("no such file", where=where, found=name)
    return target


def _score_pixels(path: Path, how: Reduction, top_k: int) -> float:
    """Reduce one (c, h, w) map, a block of pixels at a time.

    For "sum" a pixel counts as its share of the image: a plain sum would be 1 for every image of a million pixels.
    """
    maps = load_array(path, n_axes=3, dtypes=("float16", "float32"))
    if maps.size > MAX_PIXEL_VALUES:
        raise DataError("pixel map too large", where=str(path), found=f"{maps.size} values",
                        expected=f"at most {MAX_PIXEL_VALUES}")  # fmt: skip
    flat = maps.reshape(len(maps), -1)
    n_pixels = flat.shape[1]
    step = max(1, BLOCK_VALUES // len(maps))
    kept: list[npt.NDArray[np.float32]] = []
    total = 0.0
    for start in range(0, n_pixels, step):
        scores = score_margin(_with_background(flat[:, start : start + step].T.astype(np.float32), str(path)))
        total += float(scores.sum(dtype=np.float64))
        top = min(1 if how == "max" else top_k, len(scores))
        kept.append(np.partition(scores, -top)[-top:])
    if how == "sum":
        return 1.0 - float(np.exp(-total / n_pixels))
    scores = np.concatenate(kept)
    return float(reduce_regions(scores, np.zeros(len(scores), np.int64), 1, how, top_k)[0])
