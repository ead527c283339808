"""How unsure a model is of each image, 0 sure .. 1 unsure, from class probabilities alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import BoolArray, FloatArray, IntArray

Scores = npt.NDArray[np.float32]
Reduction = Literal["max", "mean_top_k", "sum"]

SUM_TOLERANCE = 1e-3  # probabilities that went through fp16 or four printed decimals still pass


def score_least_confidence(probs: FloatArray) -> Scores:
    """Return 1 - p1, p1 the highest probability: (n, c) -> (n,), 0 .. (c - 1) / c, higher = more worth labelling."""
    return _clip(1.0 - probs.max(axis=1))


def score_margin(probs: FloatArray) -> Scores:
    """Return 1 - (p1 - p2), the two highest: (n, c) -> (n,), 0..1, higher = more worth labelling.

    >>> score_margin(np.array([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]])).tolist()
    [1.0, 0.5]
    """
    if probs.shape[1] == 1:
        return np.zeros(len(probs), np.float32)
    second, first = np.partition(probs, -2, axis=1)[:, -2:].T
    return _clip(1.0 - (first - second))


def score_entropy(probs: FloatArray) -> Scores:
    """Return entropy / log c: (n, c) -> (n,), 0 one class certain .. 1 all equal, higher = more worth labelling."""
    n_classes = probs.shape[1]
    if n_classes == 1:
        return np.zeros(len(probs), np.float32)
    return _clip(_entropy(probs) / np.log(n_classes))


def score_bald(mc_probs: FloatArray) -> Scores:
    """Return what t sampled models disagree about: (n, t, c) -> (n,), 0..1, higher = more worth labelling.

    Mutual information H[mean p] - mean H[p] over log c (Houlsby et al. 2011, arXiv:1112.5745). Unlike entropy it is 0
    where every model is unsure in the same way, as with an image that nobody could label.
    """
    n_classes = mc_probs.shape[2]
    if n_classes == 1:
        return np.zeros(len(mc_probs), np.float32)
    together = _entropy(mc_probs.mean(axis=1, dtype=np.float32))
    apart = _entropy(mc_probs).mean(axis=1)
    return _clip((together - apart) / np.log(n_classes))


def temper(probs: FloatArray, temperature: float) -> npt.NDArray[np.float32]:
    """Return softmax(log p / temperature) of each row: > 1 flattens, < 1 sharpens, 1 changes nothing, zeros stay zero.

    >>> temper(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    if not temperature > 0:
        raise DataError("temperature must be above 0", found=str(temperature))
    # Divided by the row's maximum first, so that a cold temperature cannot underflow the whole row.
    scaled = (probs / probs.max(axis=1, keepdims=True)).astype(np.float32) ** np.float32(1.0 / temperature)
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def reduce_regions(
    scores: FloatArray, image_rows: IntArray, n_images: int, how: Reduction = "max", top_k: int = 5
) -> Scores:
    """Turn the scores of boxes or pixels into one score per image: (r,), (r,) -> (n_images,), 0..1.

    image_rows: which image each region belongs to, in any order. how: "max", the most doubtful region; "mean_top_k",
    the mean of the top_k most doubtful ones (of all, where there are fewer); "sum", 1 - exp(-sum), which grows with
    the number of doubtful regions and stays below 1. An image without regions gets 0: its model found nothing to doubt.
    """
    reduced = np.zeros(n_images, np.float32)
    if len(scores) == 0:
        return reduced
    if how == "sum":
        total = np.bincount(image_rows, weights=scores, minlength=n_images)
        return _clip(1.0 - np.exp(-total))
    order = np.lexsort((-scores, image_rows))  # image by image, highest first
    sorted_rows, sorted_scores = image_rows[order], scores[order]
    starts = np.flatnonzero(np.diff(sorted_rows, prepend=-1))
    if how == "max":
        reduced[sorted_rows[starts]] = sorted_scores[starts]
        return _clip(reduced)
    lengths = np.diff(np.append(starts, len(scores)))
    rank = np.arange(len(scores)) - np.repeat(starts, lengths)
    top = rank < top_k
    total = np.bincount(sorted_rows[top], weights=sorted_scores[top], minlength=n_images)
    reduced[sorted_rows[starts]] = total[sorted_rows[starts]] / np.minimum(lengths, top_k)
    return _clip(reduced)


def check_probs(probs: npt.ArrayLike, n_rows: int | None, where: str) -> npt.NDArray[np.float32]:
    """Return (n, c) class probabilities as float32, every row summing to 1 exactly; ``where`` names them in errors.

    Raises:
        DataError: not two axes, a row count other than n_rows, no class, not a number, below 0, or a row that does not
            sum to 1 within 0.001.
    """
    values = np.asarray(probs)
    if values.ndim != 2 or values.shape[1] == 0:
        raise DataError("probabilities need one row per image and one column per class", where=where,
                        found=f"shape {values.shape}", expected="shape (n, c)")  # fmt: skip
    if n_rows is not None and len(values) != n_rows:
        raise DataError("wrong number of rows of probabilities", where=where, found=f"{len(values)}",
                        expected=f"{n_rows}, one per image")  # fmt: skip
    if values.dtype.kind not in "fiub":
        raise DataError("probabilities are not numbers", where=where, found=str(values.dtype), expected="floats")
    checked = values.astype(np.float32)
    sums = checked.sum(axis=1, dtype=np.float64)
    bad = _find_bad_row(checked, sums)
    if bad is not None:
        row, what, found = bad
        raise DataError(what, where=f"{where}, row {row}", found=found, expected="0..1, each row summing to 1",
                        hint=_hint_logits(checked))  # fmt: skip
    checked /= sums[:, None].astype(np.float32)
    return checked


def _find_bad_row(probs: npt.NDArray[np.float32], sums: npt.NDArray[np.float64]) -> tuple[int, str, str] | None:
    """Return the first row that is not a distribution, as (row, what is wrong, what was found), or None."""
    finite: BoolArray = np.asarray(np.isfinite(probs).all(axis=1))
    positive: BoolArray = np.asarray((probs >= 0).all(axis=1))
    summing = np.abs(sums - 1.0) <= SUM_TOLERANCE
    wrong = ~(finite & positive & summing)
    if not wrong.any():
        return None
    row = int(np.flatnonzero(wrong)[0])
    if not finite[row]:
        return row, "a probability is not a finite number", _show(probs[row])
    if not positive[row]:
        return row, "a probability is negative", _show(probs[row])
    return row, "probabilities do not sum to 1", f"{sums[row]:.6g} from {_show(probs[row])}"


def _hint_logits(probs: npt.NDArray[np.float32]) -> str | None:
    finite = probs[np.isfinite(probs)]
    looks_like_logits = finite.size > 0 and (finite.min() < 0 or finite.max() > 1 + SUM_TOLERANCE)
    return "these look like logits: apply a softmax first" if looks_like_logits else None


def _show(row: npt.NDArray[np.float32]) -> str:
    shown = ", ".join(f"{value:.4g}" for value in row[:6])
    return f"[{shown}, ...]" if len(row) > 6 else f"[{shown}]"


def _entropy(probs: FloatArray) -> npt.NDArray[np.float32]:
    """Return the entropy in nats over the last axis; 0 log 0 counts as 0."""
    logs = np.log(np.maximum(probs, np.finfo(np.float32).tiny), dtype=np.float32)
    return np.asarray(-np.einsum("...c,...c->...", probs.astype(np.float32, copy=False), logs))


def _clip(scores: FloatArray) -> Scores:
    """Rounding can step past the ends by a few ulp; nobody downstream should have to know."""
    return np.clip(scores, 0.0, 1.0).astype(np.float32)
