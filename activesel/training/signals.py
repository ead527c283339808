"""What the labels at hand and the unlabelled pool tell about how good the head is and how much it still changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.training.folds import deal_groups
from activesel.training.head import DEFAULT_STRENGTH, LinearHead, fit_head, fit_temperature

MIN_LABELS = 20
N_FOLDS = 4
N_SLICES = 4  # what a share is a whole number of
PARTS = 4, 2, 2  # the labels are parted so often, in so many parts
PART_SHARES = 0.25, 0.5, 1.0  # of the labels that heads are compared on
MAX_ROWS = 2000  # labels looked at, so that it stays within two seconds
MAX_POOL = 4000  # pool rows whose predictions are compared


@dataclass(frozen=True)
class Signals:
    """n_labels: (m) all of them, also where fewer were looked at.

    curve_labels: (p,) that a fold trained on, most last. curve: (p,) macro-F1 on held-out labels.
    part_labels: (3,) a quarter, a half and all of the labels looked at.
    believed: (3,) macro-F1 on the pool of heads on so many, as the probabilities of the last expect it.
    disagreement: (2,) 1 - macro-F1 on the pool between heads on other quarters, and on other halves.
    """

    n_labels: int
    n_classes: int
    curve_labels: npt.NDArray[np.float64]
    curve: npt.NDArray[np.float64]
    part_labels: npt.NDArray[np.float64]
    believed: npt.NDArray[np.float64]
    disagreement: npt.NDArray[np.float64]

    @property
    def held_out(self) -> float:
        """Macro-F1 on held-out labels with three quarters of the labels."""
        return float(self.curve[-1])


def measure_signals(
    vectors: FloatArray, classes: IntArray, pool: FloatArray, *, groups: IntArray | None = None, seed: int = 0,
    shares: Sequence[float] = (1.0,),
) -> Signals:  # fmt: skip
    """Measure on (m, d) labelled unit rows with classes (m,) and (n, d) rows of the pool, labelled ones included.

    groups: (m,) equal numbers never come to lie on two sides; None = each row by itself. Heads are fitted with fixed
    strength: 13 fits, and four for each further one of ``shares``, of the labels that a fold trains on, 1 last.

    Raises:
        DataError: fewer than MIN_LABELS labels, or not two groups in each of two classes.
    """
    groups = np.arange(len(classes)) if groups is None else np.asarray(groups)
    _check_enough(classes, groups)
    rng = derive_rng(seed, "worth")
    n_labels = len(classes)
    rows = _thin(np.asarray(classes), rng)
    vectors, groups = np.asarray(vectors[rows], np.float32), groups[rows]
    present, codes = np.unique(np.asarray(classes)[rows], return_inverse=True)
    sample = np.unique(np.linspace(0, len(pool) - 1, min(len(pool), MAX_POOL)).astype(np.int64))
    labelled = _Labelled(vectors, codes, groups, len(present))
    seen = np.asarray(pool[sample], np.float32)
    curve, temperature = _hold_out(labelled, shares, rng)
    head = labelled.fit(np.arange(len(rows)))
    probs = LinearHead(head.weight, head.bias, temperature).probabilities(seen)
    curve_labels = np.array(shares) * (1 - 1 / N_FOLDS) * len(rows)
    tried = [_part(labelled, seen, probs, n_parts, rng) for n_parts in PARTS]
    quarters, halves = tried[0], np.mean(tried[1:], axis=0)
    return Signals(
        n_labels, len(present), curve_labels, curve, np.array(PART_SHARES) * len(rows),
        np.array([quarters[0], halves[0], expect_f1(probs)]), np.array([quarters[1], halves[1]]),
    )  # fmt: skip


def _thin(classes: IntArray, rng: np.random.Generator) -> IntArray:
    """Return at most MAX_ROWS rows, ascending, of every class its share."""
    order = rng.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    return np.sort(order[np.linspace(0, len(order) - 1, min(len(order), MAX_ROWS)).astype(np.int64)])


def macro_f1(classes: IntArray, said: IntArray, n_classes: int, *, either: bool = False) -> float:
    """Return the mean F1 of the classes that occur in ``classes``, or with ``either`` in one of the two; 0..1.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    0.6666666666666666
    """
    known = classes * n_classes + said
    counts = np.bincount(known, minlength=n_classes**2).reshape(n_classes, n_classes)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    used = total > 0 if either else counts.sum(axis=1) > 0
    return float(np.mean(2 * counts.diagonal()[used] / total[used]))


def expect_f1(probs: FloatArray, said: IntArray | None = None) -> float:
    """Return the macro-F1 of predictions (n,), were the (n, c) probabilities right; of the likeliest where None; 0..1.

    >>> expect_f1(np.array([[0.75, 0.25], [0.25, 0.75]]))
    0.75
    """
    said = probs.argmax(axis=1) if said is None else said
    n_classes = probs.shape[1]
    right = np.bincount(said, weights=probs[np.arange(len(said)), said], minlength=n_classes)
    total = np.bincount(said, minlength=n_classes) + probs.sum(axis=0)
    used = total > 0
    return float(np.mean(2 * right[used] / total[used]))


@dataclass(frozen=True)
class _Labelled:
    """Rows with classes 0..c-1, each of which occurs, and groups."""

    vectors: npt.NDArray[np.float32]
    classes: IntArray
    groups: IntArray
    n_classes: int

    def fit(self, rows: IntArray) -> LinearHead:
        return fit_head(self.vectors[rows], self.classes[rows], self.n_classes, strength=DEFAULT_STRENGTH)


def _check_enough(classes: IntArray, groups: IntArray) -> None:
    first = np.unique(groups, return_index=True)[1]
    n_groups = np.unique(np.asarray(classes)[first], return_counts=True)[1]  # of each class
    if len(classes) < MIN_LABELS or (n_groups >= 2).sum() < 2:
        raise DataError("too few labels to say what more would bring",
                        found=f"{len(classes)} labels, {int((n_groups >= 2).sum())} classes with two or more",
                        expected=f"{MIN_LABELS} labels, and two classes with two or more that are no near-duplicates",
                        )  # fmt: skip


def _logits(head: LinearHead, vectors: FloatArray) -> npt.NDArray[np.float64]:
    """Return (n, c) finite logits: a class without an example lies far below the others."""
    bias = np.where(np.isfinite(head.bias), head.bias, -1e3)
    return np.asarray(vectors @ head.weight.T + bias, np.float64)


def _hold_out(
    labelled: _Labelled, shares: Sequence[float], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], float]:
    """Return macro-F1 (p,) on folds that heads on each share have not seen, and the temperature of the last."""
    m = len(labelled.classes)
    folds = deal_groups(labelled.classes, labelled.groups, N_FOLDS, rng)
    logits = np.zeros((len(shares), m, labelled.n_classes))
    for fold in range(N_FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(train) or not len(test):
            continue
        slices = deal_groups(labelled.classes[train], labelled.groups[train], N_SLICES, rng)
        for i, share in enumerate(shares):
            rows = train[slices < share * N_SLICES]
            if len(rows):
                logits[i, test] = _logits(labelled.fit(rows), labelled.vectors[test])
    said = logits.argmax(axis=2)
    curve = np.array([macro_f1(labelled.classes, one, labelled.n_classes) for one in said])
    known = logits[-1][np.arange(m), labelled.classes] > -500  # of a class that the fold's head has seen
    temperature = fit_temperature(logits[-1][known], labelled.classes[known])[0] if known.any() else 1.0
    return curve, temperature


def _part(
    labelled: _Labelled, pool: npt.NDArray[np.float32], probs: FloatArray, n_parts: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return what heads on equal parts are expected to score by ``probs``, and 1 - macro-F1 between pairs of them."""
    parts = deal_groups(labelled.classes, labelled.groups, n_parts, rng)
    rows = [np.flatnonzero(parts == part) for part in range(n_parts)]
    said = [_logits(labelled.fit(part), pool).argmax(axis=1) for part in rows]
    agreed = [macro_f1(one, other, labelled.n_classes, either=True)
              for one, other in zip(said[::2], said[1::2], strict=True)]  # fmt: skip
    return float(np.mean([expect_f1(probs, one) for one in said])), float(1 - np.mean(agreed))
