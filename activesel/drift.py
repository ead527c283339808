"""Whether recent images, scores or classes are as those before: effect sizes with chances, for many looks at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray

FOLDS = 5
PERMUTATIONS = 199
RELABELLINGS = 9999  # so that the least p is far below what many looks ask for
MOST_ROWS = 1000  # of a side, for the domain classifier: more change its figure little
RIDGE = 1.0  # times the mean variance of a dimension


@dataclass(frozen=True)
class Drift:
    """One comparison. kind: "score", "image", "class" or "vectors". statistic: its name. effect: 0 = alike, higher =
    farther apart; the domain classifier's is its AUC, 0.5 = alike. p: chance of as much were nothing different.
    n_reference, n_recent: images (groups, for vectors) on each side."""

    name: str
    kind: str
    statistic: str
    effect: float
    p: float
    n_reference: int
    n_recent: int


def compare_numbers(name: str, kind: str, reference: FloatArray, recent: FloatArray) -> Drift | None:
    """Compare (n,) with (m,) numbers: the effect is Wasserstein's distance in standard deviations of the reference, p
    that of Kolmogorov and Smirnov. None with fewer than two finite numbers on a side."""
    from scipy.stats import ks_2samp, wasserstein_distance

    one, other = (np.asarray(x, np.float64)[np.isfinite(x)] for x in (reference, recent))
    if min(len(one), len(other)) < 2:
        return None
    spread = float(one.std()) or float(np.concatenate((one, other)).std())
    far = float(wasserstein_distance(one, other)) / spread if spread else 0.0
    p = float(ks_2samp(one, other, method="auto").pvalue) if spread else 1.0
    return Drift(name, kind, "wasserstein/sd", far, p, len(one), len(other))


def compare_classes(
    name: str, reference: IntArray, recent: IntArray, rng: np.random.Generator, kind: str = "class"
) -> Drift | None:
    """Compare classes (n,) with (m,): the effect is Jensen and Shannon's distance 0..1 (base 2), p by permuting whose
    each image is, which holds where classes are rare and a chi-square test does not. None where a side is empty."""
    if not len(reference) or not len(recent):
        return None
    both = np.unique(np.concatenate((reference, recent)), return_inverse=True)[1]
    total = np.bincount(both)
    counts = np.bincount(both[len(reference) :], minlength=len(total))
    seen = float(_distance(total - counts, counts))
    drawn = rng.multivariate_hypergeometric(total, len(recent), RELABELLINGS)
    as_far = int((_distance(total - drawn, drawn) >= seen - 1e-12).sum())
    p = (1 + as_far) / (1 + RELABELLINGS)
    return Drift(name, kind, "Jensen-Shannon", seen, p, len(reference), len(recent))


def stability_index(reference: IntArray, recent: IntArray) -> float:
    """Return the population stability index of counts (c,): sum (q - p) ln(q / p), half an image added to each count.

    0 = alike; above 0.25 is taken for a shift by custom (Siddiqi 2006), which no test stands behind.
    """
    p, q = (np.asarray(x, np.float64) + 0.5 for x in (reference, recent))
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def compare_vectors(
    name: str, reference: FloatArray, recent: FloatArray, rng: np.random.Generator, *,
    groups: tuple[IntArray, IntArray] | None = None,
) -> Drift | None:  # fmt: skip
    """Tell how well a classifier on vectors (n, d), (m, d) tells the sides apart: AUC of images in no fold it learned.

    groups: of each side; one image of a part is kept, so that five views of a part are no five witnesses. p by giving
    the sides to images at random, 199 times (the classifier is linear in what it learns, so each costs one product),
    and by the normal distribution with their mean and spread, so that it can be as small as many looks ask for.
    None with fewer than ten images (groups) on a side.
    """
    from scipy.stats import norm

    sides = [_thin(rows, None if groups is None else groups[i], rng) for i, rows in enumerate((reference, recent))]
    n, m = map(len, sides)
    if min(n, m) < 2 * FOLDS:
        return None
    rows = np.concatenate(sides)
    truth = np.repeat([0.0, 1.0], [n, m])
    tried = np.stack([truth, *(rng.permutation(truth) for _ in range(PERMUTATIONS))], axis=1)
    fold = np.empty(n + m, np.int64)
    fold[rng.permutation(n + m)] = np.arange(n + m) % FOLDS
    scores = np.empty_like(tried)
    for one in range(FOLDS):
        test = fold == one
        scores[test] = _predict(rows[~test], tried[~test], rows[test])
    aucs = np.mean([_auc(scores[fold == one], tried[fold == one]) for one in range(FOLDS)], axis=0)
    p = float(norm.sf((aucs[0] - aucs[1:].mean()) / max(float(aucs[1:].std()), 1e-9)))
    return Drift(name, "vectors", "domain AUC", float(aucs[0]), p, n, m)


def hold_against_many(p: Sequence[float], false_alarms: float) -> npt.NDArray[np.bool_]:
    """Return which of these chances (t,) are too small to be luck, whatever their dependence (Holm 1979): were nothing
    different, in at most ``false_alarms`` of all such looks would any be returned.

    >>> hold_against_many([0.001, 0.03, 0.04], 0.05).tolist()
    [True, False, False]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    passed = np.minimum.accumulate(values[order] <= false_alarms / np.arange(len(values), 0, -1))
    found = np.zeros(len(values), bool)
    found[order] = passed
    return found


def _distance(one: IntArray, other: IntArray) -> npt.NDArray[np.float64]:
    """Jensen and Shannon's distance, 0..1, between counts (..., c), which are no empty sides."""
    p = one / np.maximum(1, one.sum(axis=-1, keepdims=True))
    q = other / np.maximum(1, other.sum(axis=-1, keepdims=True))
    middle = np.maximum((p + q) / 2, 1e-300)

    def part(share: FloatArray) -> FloatArray:
        return np.asarray((share * np.log2(np.maximum(share, 1e-300) / middle)).sum(axis=-1))

    return np.sqrt(np.maximum(0.0, (part(p) + part(q)) / 2))


def _thin(rows: FloatArray, groups: IntArray | None, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Keep one image a group, drawn at random, and no more than MOST_ROWS."""
    order = rng.permutation(len(rows))
    if groups is not None:
        order = order[np.unique(np.asarray(groups)[order], return_index=True)[1]]
        order = rng.permutation(order)
    return np.asarray(rows[np.sort(order[:MOST_ROWS])], np.float64)


def _predict(
    rows: npt.NDArray[np.float64], truth: npt.NDArray[np.float64], test: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Ridge regression of every column of truth (n, t) on rows (n, d), told of test (k, d): (k, t)."""
    middle = rows.mean(axis=0)
    centred = rows - middle
    gram = centred.T @ centred
    gram[np.diag_indices_from(gram)] += RIDGE * max(np.trace(gram) / len(gram), 1e-12)
    return np.asarray((test - middle) @ np.linalg.solve(gram, centred.T @ (truth - truth.mean(axis=0))))


def _auc(scores: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The area under the curve of every column; 0.5 where a fold has one side only."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    n_one = truth.sum(axis=0)
    n_zero = len(truth) - n_one
    above = (ranks * truth).sum(axis=0) - n_one * (n_one + 1) / 2
    pairs = n_one * n_zero
    return np.asarray(np.divide(above, pairs, out=np.full(len(pairs), 0.5), where=pairs > 0))
