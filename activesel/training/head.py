"""A linear classifier on frozen vectors with calibrated probabilities, fitted in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from activesel.errors import DataError
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.tensors import Rows

STRENGTHS = (0.01, 0.1, 1.0)  # scikit-learn's C on vectors scaled to one mean variance; docs/scores.md has the table
DEFAULT_STRENGTH = 1.0
DEFAULT_TEMPERATURE = 2.0  # where there are too few labels to measure it: such heads are over-confident, so flatten
TEMPERATURES = (0.05, 20.0)
N_FOLDS = 5
FOLD_ROWS = 2000  # the folds look at no more: strength and temperature do not get better, only later
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class LinearHead:
    """probabilities = softmax((weight @ vector + bias) / temperature).

    weight: (c, d) float32. bias: (c,) float32, -inf for a class without an example. temperature: > 0.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    temperature: float

    def probabilities(self, vectors: FloatArray, device: str = "cpu") -> npt.NDArray[np.float32]:
        """Return (n, c) probabilities, rows sum to 1, of (n, d) rows, read once, in blocks that fit the cache."""
        rows = Rows(vectors, device)
        weight = torch.from_numpy(self.weight / np.float32(self.temperature)).to(rows.device)
        bias = torch.from_numpy(self.bias / np.float32(self.temperature)).to(rows.device)[:, None]
        probs = np.empty((len(rows), len(self.bias)), np.float32)
        for block in rows.blocks(BLOCK_ROWS):
            # Classes by rows: a product with few columns is three times as slow as one with few rows.
            logits = torch.addmm(bias, weight, rows.exact(block).T)
            probs[block] = logits.softmax(dim=0).T.cpu().numpy()
        return probs


@dataclass(frozen=True)
class _Examples:
    """Labelled rows in the coordinates of the fit: centred, scaled to one mean variance, rotated into their own span.

    rows: (m, r) float64, r <= min(m, d). basis: (r, d): vector -> coordinates is (vector - mean) @ basis.T.
    classes: (m,) 0..p-1, positions in present. present: (p,) the class indices that have an example. weights: (m,).
    """

    rows: npt.NDArray[np.float64]
    basis: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    classes: IntArray
    present: IntArray
    weights: npt.NDArray[np.float64]


def fit_head(
    vectors: FloatArray,
    classes: IntArray,
    n_classes: int,
    *,
    seed: int = 0,
    strength: float | None = None,
    weights: FloatArray | None = None,
) -> LinearHead:
    """Fit a class-balanced logistic regression on (m, d) unit rows with classes (m,), and calibrate it.

    Strength of regularisation and temperature are those with the lowest log-loss on held-out folds (Guo et al. 2017,
    arXiv:1706.04599); a class with one example is always trained on, never held out. Without two examples in two
    classes nothing can be held out: the temperature is then 2. With one class alone its probability is 1 everywhere.
    strength: fixed instead of tuned, above 0, and the temperature 2 with it: no folds, a tenth of the time.
    weights: (m,) above 0, each example's share of its own class; classes stay balanced whatever they are, and the sum
    of all weights says how many examples the regularisation is held against. None = 1 each.

    Raises:
        DataError: no example, counts that differ, a class index outside 0..n_classes-1, a weight that is not above 0.
    """
    _check_examples(vectors, classes, n_classes)
    examples = _prepare(vectors, classes, _check_weights(weights, len(classes)))
    if len(examples.present) == 1:
        return _head_of_one_class(int(examples.present[0]), n_classes, vectors.shape[1])
    if strength is not None:
        return _fit(examples, n_classes, strength, DEFAULT_TEMPERATURE)
    strength, temperature = _tune(examples, derive_rng(seed, "head-folds"))
    return _fit(examples, n_classes, strength, temperature)


def fit_committee(
    vectors: FloatArray, classes: IntArray, n_classes: int, n_members: int, seed: int = 0
) -> list[LinearHead]:
    """Fit n_members heads, each on a resample with replacement within each class, so that every class stays.

    What they disagree about is what the labels leave open: the samples of BALD without a Bayesian model (bootstrap
    instead of a posterior). All share the strength and temperature of the head fitted on everything.
    """
    _check_examples(vectors, classes, n_classes)
    examples = _prepare(vectors, classes, np.ones(len(classes)))
    if len(examples.present) == 1:
        return [_head_of_one_class(int(examples.present[0]), n_classes, vectors.shape[1])] * n_members
    strength, temperature = _tune(examples, derive_rng(seed, "head-folds"))
    heads = []
    for member in range(n_members):
        rows = _resample(examples.classes, derive_rng(seed, "committee", member))
        drawn = replace(examples, rows=examples.rows[rows], classes=examples.classes[rows])
        heads.append(_fit(drawn, n_classes, strength, temperature))
    return heads


def committee_probabilities(heads: Sequence[LinearHead], vectors: FloatArray) -> npt.NDArray[np.float32]:
    """Return (n, t, c): the probabilities of each of the t heads, as ``score_bald`` takes them."""
    return np.stack([head.probabilities(vectors) for head in heads], axis=1)


def _check_examples(vectors: FloatArray, classes: IntArray, n_classes: int) -> None:
    if len(vectors) != len(classes):
        raise DataError("labels and vectors differ in number", found=f"{len(classes)} labels, {len(vectors)} vectors")
    if len(classes) == 0:
        raise DataError("no labelled image to fit a model on", hint="label a first batch, or select without labels")
    if classes.min() < 0 or classes.max() >= n_classes:
        raise DataError("class index out of range", found=f"{classes.min()}..{classes.max()}",
                        expected=f"0..{n_classes - 1}")  # fmt: skip


def _check_weights(weights: FloatArray | None, n: int) -> npt.NDArray[np.float64]:
    if weights is None:
        return np.ones(n)
    found = np.asarray(weights, np.float64)
    if found.shape != (n,) or not (np.isfinite(found) & (found > 0)).all():
        raise DataError("not the weights of these examples", found=f"{found.shape}, {found.min(initial=1):g} at least",
                        expected=f"{n} numbers above 0")  # fmt: skip
    return found


def _prepare(vectors: FloatArray, classes: IntArray, weights: npt.NDArray[np.float64]) -> _Examples:
    """Centre and scale as a whole (not per dimension: measured worse), then rotate.

    The rotation changes nothing in a fit with an L2 penalty, and 100 examples of 1,280 dimensions need 100.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    mean = rows.mean(axis=0)
    centred = rows - mean
    spread = np.sqrt(np.einsum("md,md->", centred, centred) / centred.size)
    scale = 1.0 / spread if spread > 1e-9 else 1.0
    basis = np.eye(rows.shape[1])
    if len(rows) < rows.shape[1]:
        basis = np.linalg.svd(centred, full_matrices=False)[2]
    basis = basis * scale
    present, positions = np.unique(classes, return_inverse=True)
    return _Examples(centred @ basis.T, basis, mean, positions, present, weights)


def _fit(examples: _Examples, n_classes: int, strength: float, temperature: float) -> LinearHead:
    weight, bias = _regress(examples, np.ones(len(examples.rows), bool), strength)
    weight = weight @ examples.basis
    full_weight = np.zeros((n_classes, weight.shape[1]), np.float32)
    full_bias = np.full(n_classes, -np.inf, np.float32)
    full_weight[examples.present] = weight
    full_bias[examples.present] = bias - weight @ examples.mean
    return LinearHead(full_weight, full_bias, temperature)


def _regress(
    examples: _Examples, taken: BoolArray, strength: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Minimise strength * sum of balanced log-losses + |weight|^2 / 2 over some rows -> weight (p, r), bias (p,)."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    rows, classes, n_present = examples.rows[taken], examples.classes[taken], len(examples.present)
    n, width = rows.shape
    share = strength * _balance(classes, examples.weights[taken], n_present)
    target = np.zeros((n, n_present))
    target[np.arange(n), classes] = 1

    def loss_and_slope(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weight, bias = flat[:-n_present].reshape(n_present, width), flat[-n_present:]
        log_probs = _log_softmax(rows @ weight.T + bias)
        loss = -float(share @ log_probs[target > 0]) + 0.5 * float(np.vdot(weight, weight))
        slope = share[:, None] * (np.exp(log_probs) - target)
        return loss, np.concatenate([(slope.T @ rows + weight).ravel(), slope.sum(axis=0)])

    start = np.zeros(n_present * (width + 1))
    # One BLAS thread: products this small gain nothing from more, and beside other work two threads wait on each other.
    with threadpool_limits(limits=1, user_api="blas"):
        solved = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 300, "gtol": 1e-4}).x
    bias = solved[-n_present:]
    return solved[:-n_present].reshape(n_present, width), bias - bias.mean()


def _tune(examples: _Examples, rng: np.random.Generator) -> tuple[float, float]:
    """Return the strength and temperature with the lowest log-loss on the folds held out."""
    folds = _deal_folds(examples.classes, rng)
    if folds is None:
        return DEFAULT_STRENGTH, DEFAULT_TEMPERATURE
    tried = []
    for strength in STRENGTHS:
        logits, truth = _hold_out(examples, folds, strength)
        temperature, loss = fit_temperature(logits, truth)
        tried.append((loss, strength, temperature))
    _, strength, temperature = min(tried)
    return strength, temperature


def _deal_folds(classes: IntArray, rng: np.random.Generator) -> IntArray | None:
    """Return (m,) fold numbers, classes spread evenly; -1 = always trained on. None if nothing can be held out.

    Dealt in one long round through the classes, so that folds differ by one row at most.
    """
    counts = np.bincount(classes)
    if (counts >= 2).sum() < 2:
        return None
    order = rng.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    order = order[counts[classes[order]] >= 2]
    folds = np.full(len(classes), -1)
    folds[order] = np.arange(len(order)) % min(N_FOLDS, len(order))
    if len(order) > FOLD_ROWS:
        folds[rng.permutation(order)[FOLD_ROWS:]] = -2  # left out of the folds altogether
    return folds


def _hold_out(examples: _Examples, folds: IntArray, strength: float) -> tuple[npt.NDArray[np.float64], IntArray]:
    """Return the logits (q, p) of every held-out row by the head that has not seen it, and the true classes (q,)."""
    logits, truth = [], []
    for fold in range(folds.max() + 1):
        train, test = (folds != fold) & (folds > -2), folds == fold
        weight, bias = _regress(examples, train, strength)
        logits.append(examples.rows[test] @ weight.T + bias)
        truth.append(examples.classes[test])
    return np.concatenate(logits), np.concatenate(truth)


def fit_temperature(logits: npt.NDArray[np.float64], truth: IntArray) -> tuple[float, float]:
    """Return the temperature with the lowest log-loss, held near 1 while there are few rows, and that loss per row.

    logits: (q, c), q >= 1. truth: (q,) class indices.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        log_probs = _log_softmax(logits * np.exp(-log_temperature))
        # A log-normal prior of width 0.5: five rows, all right, would otherwise prove certainty.
        return -float(log_probs[np.arange(len(truth)), truth].sum()) + 2.0 * log_temperature**2

    low, high = np.log(TEMPERATURES)
    found: Any = minimize_scalar(loss, bounds=(float(low), float(high)), method="bounded")
    return float(np.exp(found.x)), float(found.fun) / len(truth)


def _head_of_one_class(present: int, n_classes: int, d: int) -> LinearHead:
    bias = np.full(n_classes, -np.inf, np.float32)
    bias[present] = 0
    return LinearHead(np.zeros((n_classes, d), np.float32), bias, DEFAULT_TEMPERATURE)


def _resample(classes: IntArray, rng: np.random.Generator) -> IntArray:
    drawn = [
        rng.choice(members, len(members)) for c in np.unique(classes) if len(members := np.flatnonzero(classes == c))
    ]
    return np.concatenate(drawn)


def _balance(classes: IntArray, weights: npt.NDArray[np.float64], n_present: int) -> npt.NDArray[np.float64]:
    """Return each row's weight (m,): equal sums per class; all of them sum to what the given weights do."""
    sums = np.bincount(classes, weights, minlength=n_present)[classes]
    return np.asarray(weights * weights.sum() / (n_present * sums))


def _log_softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
