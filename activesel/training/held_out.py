"""The head on all labels, and what heads say of each labelled image that have seen nothing of its group."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from activesel.proof import deal_group_folds
from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.training.head import DEFAULT_STRENGTH, DEFAULT_TEMPERATURE, LinearHead, fit_head, fit_temperature

N_FOLDS = 5
NEVER = -1e3  # the logit of a class that a fold's head has not seen


@dataclass(frozen=True)
class HeldOutHead:
    """head: fitted to all rows, with the temperature of the held-out ones. probs: (m, c) of each row by a head that saw
    none of its group, each fold at the temperature of the others; NaN where a row is in no fold."""

    head: LinearHead
    probs: npt.NDArray[np.float64]


def hold_out_head(
    vectors: FloatArray, classes: IntArray, groups: IntArray, n_classes: int, *, seed: int = 0, n_folds: int = N_FOLDS
) -> HeldOutHead:
    """Fit one head to all rows and one to each fold's rest.

    vectors: (m, d) unit rows. classes, groups: (m,). A class in one group only is never held out. The strength is
    fixed, so that it is n_folds + 1 fits; the temperature comes from folds that no group lies across, which images of
    one part in two of fit_head's own folds would make too sure.
    """
    folds = deal_group_folds(classes, groups, n_folds, derive_rng(seed, "held-out-folds"))
    logits = np.full((len(classes), n_classes), np.nan)
    for fold in range(n_folds):
        test, train = folds == fold, folds != fold
        if test.any() and len(np.unique(classes[train])) >= 2:
            logits[test] = _logits(_fit(vectors[train], classes[train], n_classes), vectors[test])
    held = np.isfinite(logits).all(axis=1)
    probs = np.full_like(logits, np.nan)
    for fold in range(n_folds):
        rows = held & (folds == fold)
        probs[rows] = _softmax(logits[rows] / _temperature(logits, classes, held & ~rows))
    head = _fit(vectors, classes, n_classes)
    return HeldOutHead(replace(head, temperature=_temperature(logits, classes, held)), probs)


def _fit(vectors: FloatArray, classes: IntArray, n_classes: int) -> LinearHead:
    return fit_head(np.asarray(vectors, np.float32), classes, n_classes, strength=DEFAULT_STRENGTH)


def _logits(head: LinearHead, vectors: FloatArray) -> npt.NDArray[np.float64]:
    bias = np.where(np.isfinite(head.bias), head.bias, NEVER)
    return np.asarray(np.asarray(vectors, np.float32) @ head.weight.T + bias, np.float64)


def _temperature(logits: npt.NDArray[np.float64], classes: IntArray, rows: npt.NDArray[np.bool_]) -> float:
    return fit_temperature(logits[rows], classes[rows])[0] if rows.any() else DEFAULT_TEMPERATURE


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=NEVER))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
