"""Champion and challenger on the same images: how far they differ, and how surely; decides nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.power import normal_quantile
from activesel.proof import Interval, measure_recall
from activesel.records import BoolArray, FloatArray
from activesel.resampling import Ranked, draw_blocks, fit_thresholds, rank, share_above, strata_of, whole


@dataclass(frozen=True)
class Exam:
    """Images that no model of the pair was trained on, those of the calibration split and those that test.

    classes: c names. truth: (n,) codes 0..c-1. groups: (n,) 0..g-1; none is on both sides. is_test: (n,).
    good: code of the class without a defect; None: there is none, and an image is found where it is named right.
    """

    classes: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    is_test: BoolArray
    good: int | None

    @property
    def is_good(self) -> BoolArray:
        return np.zeros(len(self.truth), bool) if self.good is None else self.truth == self.good

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        return strata_of(self.groups, ~self.is_good, ~self.is_test)

    def score(self, probs: FloatArray) -> npt.NDArray[np.float64]:
        """Return (n,) of probs (n, c): how sure it is of a defect; without a good class 1 where it is right, else 0."""
        if self.good is None:
            return np.asarray(probs.argmax(axis=1) == self.truth, np.float64)
        return 1.0 - np.asarray(probs[:, self.good], np.float64)


@dataclass(frozen=True)
class Bounds:
    """A difference, challenger - champion, -1..1, above 0 = the challenger is better; low, high: one-sided bounds, each
    wrong as rarely as was asked for."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Votes:
    """Groups with a defect that only the challenger finds, and that only the champion does, each by the net of its
    images. better, worse: chance of so many or more, were both alike (exact McNemar, one-sided)."""

    fixed: int
    broken: int
    n: int
    better: float
    worse: float


@dataclass(frozen=True)
class Rejects(Interval):
    """A share of good test groups that are rejected; low, high: one-sided bounds. n: such groups."""

    n: int


@dataclass(frozen=True)
class ClassChange:
    """Of one class of defects. n: groups of the test images. spread_found, spread_threshold: as in Comparison."""

    name: str
    n: int
    change: Bounds
    votes: Votes
    spread_found: float
    spread_threshold: float


@dataclass(frozen=True)
class Comparison:
    """recalls: champion's and challenger's at the same false-reject rate. spread_found, spread_threshold: standard
    errors of the change from the defects (no less than Agresti and Min's) and from where the threshold lies. n_defects,
    n_good: groups."""

    recalls: tuple[float, float]
    change: Bounds
    votes: Votes
    classes: tuple[ClassChange, ...]
    spread_found: float
    spread_threshold: float
    n_defects: int
    n_good: int


def compare(
    exam: Exam, champion: FloatArray, challenger: FloatArray, false_rejects: float, rng: np.random.Generator,
    *, error: float, n_resamples: int = 1000,
) -> Comparison:  # fmt: skip
    """Compare two models by their scores (n,), at the false-reject rate ``false_rejects``.

    Each threshold is fitted on all good images that neither model has seen, calibration and test, and fitted again in
    each resample, in which both models see the same groups. Bounds are the bootstrap's standard error times the normal
    quantile of ``error`` (tails as thin as later looks ask for hold too few resamples to count), or those of Agresti
    and Min (2005) where wider: they know that no difference seen is not none.
    """
    models = [_Model.of(exam, scores, false_rejects) for scores in (champion, challenger)]
    positive = exam.is_test & ~exam.is_good
    kinds = [positive] + [
        positive & (exam.truth == code) for code in _defects(exam) if (positive & (exam.truth == code)).any()
    ]
    one = whole(int(exam.groups.max()) + 1)
    seen = [[model.recall(model.ranked(exam, kept), one, refit=True)[0] for kept in kinds] for model in models]
    drawn, fixed = _resample(exam, models, kinds, rng, n_resamples)
    changes, spreads = [], []
    for i, kept in enumerate(kinds):
        votes, of_found = _vote(exam, models, kept), float(fixed[:, i].std(ddof=1))
        spread = float(drawn[:, i].std(ddof=1))
        changes.append((_bound(seen[1][i] - seen[0][i], spread, votes, error), votes))
        spreads.append((max(of_found, _agresti_min(votes)[1]), math.sqrt(max(0.0, spread**2 - of_found**2))))
    classes = tuple(
        ClassChange(exam.classes[int(exam.truth[kept][0])], votes.n, bounds, votes, *of_class)
        for kept, (bounds, votes), of_class in zip(kinds[1:], changes[1:], spreads[1:], strict=True)
    )
    recalls = (float(seen[0][0]), float(seen[1][0]))
    return Comparison(recalls, *changes[0], classes, *spreads[0], changes[0][1].n,
                      len(np.unique(exam.groups[exam.is_good])))  # fmt: skip


def false_reject_rate(exam: Exam, scores: FloatArray, false_rejects: float, *, error: float) -> Rejects | None:
    """Return the share of good test images above the threshold that the calibration split gives, with one-sided bounds.

    Groups count once (Wilson). None without a good class, or without a good image on either side.
    """
    good, rejected = exam.is_good & exam.is_test, scores > calibrate(exam, scores, false_rejects)
    if not good.any() or not (exam.is_good & ~exam.is_test).any():
        return None
    found = measure_recall(rejected[good], exam.groups[good], 1 - 2 * error)
    assert found is not None
    return Rejects(found.share.value, found.share.low, found.share.high, found.tested)


def calibrate(exam: Exam, scores: FloatArray, false_rejects: float) -> float:
    """Return the score above which a part is rejected, by the good images of the calibration split: what would run."""
    ranked = rank(scores, exam.groups, exam.is_good & ~exam.is_test)
    return float(fit_thresholds(ranked, whole(int(exam.groups.max()) + 1), false_rejects)[0])


def recall_alone(
    exam: Exam, scores: FloatArray, false_rejects: float, rng: np.random.Generator, *, error: float,
    n_resamples: int = 1000,
) -> Bounds:  # fmt: skip
    """Return one model's recall with one-sided bounds: the wider of the bootstrap's and Wilson's."""
    model = _Model.of(exam, scores, false_rejects)
    positive = exam.is_test & ~exam.is_good
    ranked = model.ranked(exam, positive)
    one = whole(int(exam.groups.max()) + 1)
    value = float(model.recall(ranked, one, refit=True)[0])
    drawn = [model.recall(ranked, weights, refit=True) for weights in draw_blocks(exam.strata, rng, n_resamples)]
    half = normal_quantile(1 - error) * float(np.concatenate(drawn).std(ddof=1))
    wilson = measure_recall(scores[positive] > model.threshold, exam.groups[positive], 1 - 2 * error)
    assert wilson is not None
    return Bounds(value, min(value - half, wilson.share.low), max(value + half, wilson.share.high))


def mcnemar(fixed: int, broken: int) -> tuple[float, float]:
    """Return the chances of so many fixed or more, and of so many broken or more, were either as likely (exact).

    >>> [round(p, 4) for p in mcnemar(8, 1)]
    [0.0195, 0.998]
    """
    return _tail(fixed, broken), _tail(broken, fixed)


@dataclass(frozen=True)
class _Model:
    scores: npt.NDArray[np.float64]
    good: Ranked
    false_rejects: float
    threshold: float

    @classmethod
    def of(cls, exam: Exam, scores: FloatArray, false_rejects: float) -> _Model:
        good = rank(scores, exam.groups, exam.is_good)
        if exam.good is None:  # nothing is rejected: right is 1, wrong 0, and the threshold lies between them
            return cls(np.asarray(scores, np.float64), good, false_rejects, 0.5)
        threshold = fit_thresholds(good, whole(int(exam.groups.max()) + 1), false_rejects)[0]
        return cls(np.asarray(scores, np.float64), good, false_rejects, float(threshold))

    def ranked(self, exam: Exam, kept: BoolArray) -> Ranked:
        return rank(self.scores, exam.groups, kept)

    def recall(self, images: Ranked, weights: npt.NDArray[np.float32], *, refit: bool) -> npt.NDArray[np.float64]:
        thresholds = np.full(len(weights), self.threshold)
        if refit and len(self.good.scores):
            thresholds = fit_thresholds(self.good, weights, self.false_rejects)
        return share_above(images, weights, thresholds)


def _resample(
    exam: Exam, models: Sequence[_Model], kinds: Sequence[BoolArray], rng: np.random.Generator, n_resamples: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return (b, k) changes of each kind of images, and (b, k) with thresholds as they are."""
    ranked = [[model.ranked(exam, kept) for kept in kinds] for model in models]
    drawn, fixed = [], []
    for weights in draw_blocks(exam.strata, rng, n_resamples, _near(exam, models)):
        recalls = []
        for model, images in zip(models, ranked, strict=True):
            at = np.full(len(weights), model.threshold)
            if len(model.good.scores):
                at = fit_thresholds(model.good.top(model.false_rejects), weights, model.false_rejects)
            recalls.append(np.stack([share_above(one, weights, at) for one in images], axis=1))
        drawn.append(recalls[1] - recalls[0])
        held = [np.stack([model.recall(one, weights, refit=False) for one in images], axis=1)
                for model, images in zip(models, ranked, strict=True)]  # fmt: skip
        fixed.append(held[1] - held[0])
    return np.nan_to_num(np.concatenate(drawn)), np.nan_to_num(np.concatenate(fixed))


def _near(exam: Exam, models: Sequence[_Model]) -> BoolArray:
    """Return (g,) the groups that a resample's recall depends on: those with a defect, and those near a threshold."""
    found = np.zeros(int(exam.groups.max()) + 1, bool)
    found[exam.groups[exam.is_test & ~exam.is_good]] = True
    for model in models:
        found[model.good.top(model.false_rejects).groups] = True
    return found


def _vote(exam: Exam, models: Sequence[_Model], kept: BoolArray) -> Votes:
    champion, challenger = (model.scores[kept] > model.threshold for model in models)
    _, of_row = np.unique(exam.groups[kept], return_inverse=True)
    net = np.bincount(of_row, weights=challenger.astype(np.int64) - champion.astype(np.int64))
    fixed, broken = int((net > 0).sum()), int((net < 0).sum())
    return Votes(fixed, broken, len(net), *mcnemar(fixed, broken))


def _bound(change: float, spread: float, votes: Votes, error: float) -> Bounds:
    z = normal_quantile(1 - error)
    centre, other = _agresti_min(votes)
    low, high = min(change - z * spread, centre - z * other), max(change + z * spread, centre + z * other)
    return Bounds(float(change), float(low), float(high))


def _agresti_min(votes: Votes) -> tuple[float, float]:
    """Return the centre of a difference of paired shares and its standard error, half a pair added to each cell."""
    n = votes.n + 2
    fixed, broken = votes.fixed + 0.5, votes.broken + 0.5
    centre = (fixed - broken) / n
    return centre, math.sqrt(max(0.0, (fixed + broken) / n - centre**2) / n)


def _tail(hits: int, others: int) -> float:
    from scipy.special import betainc

    return float(betainc(hits, others + 1, 0.5)) if hits else 1.0


def _defects(exam: Exam) -> list[int]:
    return [code for code in range(len(exam.classes)) if code != exam.good]
