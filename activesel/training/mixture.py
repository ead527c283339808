"""Real and made images in one fit: what share of a class the made ones may have, chosen on inner folds alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from activesel.promotion import average_precision
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.training.head import DEFAULT_STRENGTH, fit_head
from activesel.training.mixing import Seen, mix

SHARES = (0.0, 0.1, 0.25, 0.5)  # of the class's weight; real images always keep the rest: their floor in a batch
UNTESTED_SHARE = 0.25  # of mixtures, whose share hardly matters; and where nothing can be held out
COMPONENTS = 128  # of the vectors, learned from the training side
INNER_FOLDS = 3


@dataclass(frozen=True)
class Labelled:
    """Real images. vectors: (n, d) unit rows. classes: (n,). groups: (n,), never on both sides of a fold."""

    vectors: FloatArray
    classes: IntArray
    groups: IntArray
    n_classes: int

    def take(self, rows: IntArray | BoolArray) -> Labelled:
        return Labelled(self.vectors[rows], self.classes[rows], self.groups[rows], self.n_classes)


@dataclass(frozen=True)
class Made:
    """Made images of one class. sources: (s, q) the groups of real images that each comes from, its host's among
    them; -1 = none. One of them held out, the image is out of the fit.

    hosts: (s, d) unit rows of the untouched images that the defects were put into, and host_classes: (s,) what those
    show; with them the images are mixed (`activesel.training.mixing`), without (augmented copies) fitted as they are.
    """

    vectors: FloatArray
    class_number: int
    sources: IntArray
    hosts: FloatArray | None = None
    host_classes: IntArray | None = None

    def without(self, groups: IntArray) -> Made:
        """Return those that come from none of the groups."""
        return self.take(np.flatnonzero(~np.isin(self.sources, groups).any(axis=1)))

    def take(self, rows: IntArray) -> Made:
        hosts = None if self.hosts is None else self.hosts[rows]
        classes = None if self.host_classes is None else self.host_classes[rows]
        return Made(self.vectors[rows], self.class_number, self.sources[rows], hosts, classes)


def deal_folds(classes: IntArray, groups: IntArray, n_folds: int, rng: np.random.Generator) -> IntArray:
    """Return (n,) fold numbers: groups whole, each rarest class of a group dealt evenly, in a random order.

    A class with fewer groups than folds is absent from some of them.
    """
    counts = np.bincount(classes)
    folds = np.empty(len(classes), np.int64)
    numbers, of_row = np.unique(groups, return_inverse=True)
    rarest = np.array([min(classes[of_row == g], key=lambda c: (counts[c], c)) for g in range(len(numbers))])
    dealt, start = np.empty(len(numbers), np.int64), 0
    for number in np.argsort(counts, kind="stable"):
        members = rng.permutation(np.flatnonzero(rarest == number))
        dealt[members] = (start + np.arange(len(members))) % n_folds
        start += len(members)
    folds[:] = dealt[of_row]
    return folds


def score_with(train: Labelled, made: Made | None, share: float, test: FloatArray) -> FloatArray:
    """Fit on the training side and return probabilities (t, c) of the test vectors (t, d).

    Real images of the class keep 1 - share of its weight. Classes weigh the same and the sum of weights is the number
    of real images, so every share is fitted to its optimum under the same regularisation: no arm gets more steps.
    """
    directions = _principal(train.vectors)
    vectors, classes, weights = _project(train.vectors, directions), train.classes, np.ones(len(train.classes))
    if made is not None and len(made.vectors) and share > 0:
        own = classes == made.class_number
        examples = _examples(train, made)
        n_made, n_own = len(examples), max(1, int(own.sum()))
        weights = np.where(own, 1 - share, 1.0)
        weights = np.concatenate([weights, np.full(n_made, share * n_own / n_made)])
        vectors = np.concatenate([vectors, _project(examples, directions)])
        classes = np.concatenate([classes, np.full(n_made, made.class_number)])
    head = fit_head(vectors, classes, train.n_classes, strength=DEFAULT_STRENGTH, weights=weights)
    return np.asarray(head.probabilities(_project(test, directions)), np.float64)


def _examples(train: Labelled, made: Made) -> FloatArray:
    """Return what the head sees of the made images: mixtures where their hosts are known."""
    if made.hosts is None or made.host_classes is None:
        return made.vectors
    others = train.vectors[np.isin(train.classes, made.host_classes)]
    seen = Seen(made.vectors, made.hosts, others, train.vectors[train.classes == made.class_number])
    return mix(seen, derive_rng(0, "mixing"))


def choose_share(
    train: Labelled, made: Made, *, seed: int, shares: Sequence[float] = SHARES
) -> tuple[float, dict[float, float]]:
    """Return the share whose class has the highest average precision on inner folds, and that of each share.

    Equal ones: the lower share. With one group of the class nothing can be held out: ``UNTESTED_SHARE`` and {}. So it
    is for images that are mixed: from .25 to .75 of the weight their average precision differed by .003, while a choice
    on inner folds of three images was chance and cost .034 (25 cells of scripts/bench_synth.py).
    """
    if made.hosts is not None:
        return UNTESTED_SHARE, {}
    own = train.classes == made.class_number
    n_groups = len(np.unique(train.groups[own]))
    if not len(made.vectors):
        return 0.0, {}
    if n_groups < 2:
        return UNTESTED_SHARE, {}
    folds = deal_folds(train.classes, train.groups, min(INNER_FOLDS, n_groups), derive_rng(seed, "inner-folds"))
    found = {share: np.empty(len(own)) for share in shares}
    for fold in range(int(folds.max()) + 1):
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        inner, fitting = train.take(rest), made.without(train.groups[held])
        for share in shares:
            found[share][held] = score_with(inner, fitting, share, train.vectors[held])[:, made.class_number]
    tried = {share: float(average_precision(scores, own)[0]) for share, scores in found.items()}
    return max(tried, key=lambda share: (round(tried[share], 6), -share)), tried


def _principal(vectors: FloatArray) -> FloatArray:
    """Return (d, r): the leading directions of unit rows, from the smaller of the two Gram matrices."""
    rows = np.asarray(vectors, np.float32)
    n, d = rows.shape
    if min(n, d) <= COMPONENTS:
        return np.eye(d, dtype=np.float32)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        if d <= n:
            return np.asarray(
                np.linalg.eigh((rows.T @ rows).astype(np.float64))[1][:, ::-1][:, :COMPONENTS], np.float32
            )
        values, left = np.linalg.eigh((rows @ rows.T).astype(np.float64))
        values, left = values[::-1][:COMPONENTS], left[:, ::-1][:, :COMPONENTS]
        return np.asarray(rows.T @ (left / np.sqrt(np.maximum(values, 1e-12))), np.float32)


def _project(vectors: FloatArray, directions: FloatArray) -> FloatArray:
    rows = np.asarray(vectors, np.float32) @ directions
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
