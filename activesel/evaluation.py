"""What a model is worth on images that it has not seen, each figure with its interval; arrays in, figures out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.diagrams import AtRate, Reliability, Stated, roc_points
from activesel.promotion import average_precision
from activesel.proof import Interval
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.resampling import (
    Ranked,
    draw_blocks,
    fit_thresholds,
    interval_of,
    rank,
    share_above,
    strata_of,
    whole,
    widen_share,
)

N_BINS = 15
CONFIDENCE = 0.95
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # of false rejects, shown beside the one in use


@dataclass(frozen=True)
class Answers:
    """What a model says of n images whose class is known.

    probs: (n, c) rows sum to 1. truth: (n,) codes 0..c-1. groups: (n,) 0..g-1. is_test: (n,); the others calibrate,
    and no group is on both sides. good: code of the class without a defect, None where there is none.
    """

    probs: FloatArray
    truth: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    is_test: BoolArray
    good: int | None

    @property
    def is_good(self) -> BoolArray:
        return np.zeros(len(self.truth), bool) if self.good is None else self.truth == self.good

    @property
    def score(self) -> npt.NDArray[np.float64]:
        """(n,) how sure the model is of a defect, 0..1; without a good class 0, and nothing is asked of it."""
        good = self.good
        return np.zeros(len(self.truth)) if good is None else 1.0 - np.asarray(self.probs[:, good], np.float64)


@dataclass(frozen=True)
class ClassWorth:
    """Of one class. n, n_groups: of it among the test images. found: share called a defect at the threshold (of the
    good class: the share that is let pass), None without a good class. f1, precision, recall: of the likeliest class.
    auprc: of the class against all others. calibration: mean gap between its probability and its share, 0..1."""

    code: int
    n: int
    n_groups: int
    found: Interval | None
    precision: Interval
    recall: Interval
    f1: Interval
    auprc: Interval
    calibration: Interval


@dataclass(frozen=True)
class Part:
    """Some of the test images: recall and false rejects at the one threshold, None without a defect, or a good one."""

    n: int
    n_defects: int
    n_groups: int
    recall: Interval | None
    false_rejects: Interval | None


@dataclass(frozen=True)
class Worth:
    """threshold: score above which a part is rejected, by the calibration split; None without a good class, as are the
    recall and false-reject rate at it and the AUPRC of defects against good. calibration: expected error of the
    likeliest class, 0..1; classwise: mean over the classes' own. confusion: (c, c) true class by likeliest one.
    curve: (k, 2) false-reject rate and recall over all thresholds of the test images, for a picture. rates: others than
    the one in use, ascending. reliability: probability against share, of the top label as "likeliest" and, where a
    class is good, of "defect"."""

    n: int
    n_groups: int
    threshold: float | None
    recall: Interval | None
    false_rejects: Interval | None
    auprc: Interval | None
    macro_f1: Interval
    accuracy: Interval
    calibration: Interval
    classwise: Interval
    classes: tuple[ClassWorth, ...]
    confusion: npt.NDArray[np.int64]
    curve: npt.NDArray[np.float64]
    parts: Mapping[str, Part]
    rates: tuple[AtRate, ...]
    reliability: Mapping[str, Reliability]


def evaluate(
    answers: Answers, false_rejects: float, rng: np.random.Generator, *, parts: Mapping[str, BoolArray] | None = None,
    n_resamples: int = 1000,
) -> Worth:  # fmt: skip
    """Measure a model, with 95 % intervals by a bootstrap over groups.

    The threshold is fitted on the calibration images and fitted again in every resample. parts: name -> (n,) images to
    look at apart. Time O(n_resamples n), memory O(n): 1,000 resamples of 10,000 images in seconds.
    """
    test = _Test.of(answers)
    ways = _ways_to_look(answers, parts or {})
    seen = _measure(answers, test, ways, false_rejects, whole(test.n_groups))
    drawn: dict[str, list[npt.NDArray[np.float64]]] = {}
    for weights in draw_blocks(strata_of(answers.groups, ~answers.is_good, ~answers.is_test), rng, n_resamples):
        for name, values in _measure(answers, test, ways, false_rejects, weights).items():
            drawn.setdefault(name, []).append(values)
    found = {
        name: interval_of(float(value[0]), np.concatenate(drawn[name]), CONFIDENCE) for name, value in seen.items()
    }
    return _assemble(answers, test, ways, found)


@dataclass(frozen=True)
class _Test:
    """The test images by group: tables (g, k) whose product with weights counts what a resample holds."""

    rows: npt.NDArray[np.int64]
    n_groups: int
    calibration: Ranked  # its good images
    predicted: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]  # (g, 3 c): true, predicted and both, of each class
    gaps: npt.NDArray[np.float64]  # (g, bins): confidence - right, of the likeliest class
    class_gaps: npt.NDArray[np.float64]  # (g, c bins)
    stated: Mapping[str, tuple[Stated, npt.NDArray[np.float64]]]  # and its gaps (g, bins of equal mass)

    @classmethod
    def of(cls, answers: Answers) -> _Test:
        rows = np.flatnonzero(answers.is_test)
        assert len(rows), "nothing tests"
        n_groups, c = int(answers.groups.max()) + 1, answers.probs.shape[1]
        probs, truth, groups = np.asarray(answers.probs[rows], np.float64), answers.truth[rows], answers.groups[rows]
        predicted = probs.argmax(axis=1)
        right = predicted == truth
        counts = np.zeros((n_groups, 3, c))
        np.add.at(counts[:, 0], (groups, truth), 1)
        np.add.at(counts[:, 1], (groups, predicted), 1)
        np.add.at(counts[:, 2], (groups[right], truth[right]), 1)
        gaps, class_gaps = np.zeros((n_groups, N_BINS)), np.zeros((n_groups, c, N_BINS))
        confidence = probs.max(axis=1)
        np.add.at(gaps, (groups, _bin(confidence)), confidence - right)
        for code in range(c):
            np.add.at(class_gaps[:, code], (groups, _bin(probs[:, code])), probs[:, code] - (truth == code))
        calibration = rank(answers.score, answers.groups, answers.is_good & ~answers.is_test)
        stated = {"likeliest": Stated.of(confidence, right, groups)}
        if answers.good is not None:
            stated["defect"] = Stated.of(answers.score[rows], truth != answers.good, groups)
        return cls(
            rows, n_groups, calibration, predicted, counts.reshape(n_groups, -1), gaps,
            class_gaps.reshape(n_groups, -1), {name: (one, one.gaps(n_groups)) for name, one in stated.items()},
        )  # fmt: skip


@dataclass(frozen=True)
class _Way:
    """Images (n,) whose share above the threshold is asked for, and their scores in order."""

    kept: BoolArray
    images: Ranked


def _ways_to_look(answers: Answers, parts: Mapping[str, BoolArray]) -> dict[str, _Way]:
    """Return what the threshold is held against, by name: all, each class, each part."""
    if answers.good is None:
        return {}
    test, good, c = answers.is_test, answers.is_good, answers.probs.shape[1]
    kept = {"recall": test & ~good, "false_rejects": test & good}
    kept |= {f"found {code}": test & (answers.truth == code) for code in range(c)}
    kept |= {f"recall of {name}": test & ~good & part for name, part in parts.items()}
    kept |= {f"false_rejects of {name}": test & good & part for name, part in parts.items()}
    score = answers.score
    return {name: _Way(rows, rank(score, answers.groups, rows)) for name, rows in kept.items() if rows.any()}


def _measure(
    answers: Answers, test: _Test, ways: Mapping[str, _Way], false_rejects: float, weights: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return every figure (b,) under each of b draws, by name."""
    found = {}
    if ways:
        found["threshold"] = fit_thresholds(test.calibration, weights, false_rejects)
        found |= {name: share_above(way.images, weights, found["threshold"]) for name, way in ways.items()}
        for rate in RATES:
            at = found[f"threshold at {rate}"] = fit_thresholds(test.calibration, weights, rate)
            found |= {f"{name} at {rate}": share_above(ways[name].images, weights, at)
                      for name in ("recall", "false_rejects") if name in ways}  # fmt: skip
    c = answers.probs.shape[1]
    true, predicted, both = (weights @ test.counts).reshape(len(weights), 3, c).transpose(1, 0, 2)
    n = true.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * both / np.where(true + predicted > 0, true + predicted, np.nan)
        rates = {"precision": both / predicted, "recall_of_class": both / true, "f1": f1}
        gaps = np.abs((weights @ test.class_gaps).reshape(len(weights), c, N_BINS)).sum(axis=2) / n[:, None]
    f1_known = np.where(np.isfinite(f1), f1, 0.0)
    n_known = np.maximum(1, np.isfinite(f1).sum(axis=1))
    found |= {"accuracy": both.sum(axis=1) / n, "macro_f1": f1_known.sum(axis=1) / n_known,
              "calibration": np.abs(weights @ test.gaps).sum(axis=1) / n, "classwise": gaps.mean(axis=1)}  # fmt: skip
    found |= {
        f"reliability {name}": np.abs(weights @ table).sum(axis=1) / n for name, (_, table) in test.stated.items()
    }
    for code in range(c):
        found |= {f"{name} {code}": values[:, code] for name, values in rates.items()}
        found[f"gap {code}"] = gaps[:, code]
    rows = weights[:, answers.groups[test.rows]]
    for name, (scores, positive) in _rankings(answers, test.rows).items():
        found[name] = np.asarray(average_precision(scores, positive, rows), np.float64)
    return found


def _rankings(answers: Answers, rows: IntArray) -> dict[str, tuple[FloatArray, BoolArray]]:
    """Return the scores and positives that each average precision is of, those without a positive left out."""
    truth, probs = answers.truth[rows], answers.probs[rows]
    found = {f"auprc {code}": (probs[:, code], truth == code) for code in range(probs.shape[1])}
    if answers.good is not None:
        found["auprc"] = (answers.score[rows], truth != answers.good)
    return {name: one for name, one in found.items() if one[1].any()}


def _assemble(answers: Answers, test: _Test, ways: Mapping[str, _Way], found: dict[str, Interval]) -> Worth:
    c, truth = answers.probs.shape[1], answers.truth[test.rows]
    threshold = float(found.pop("threshold").value) if "threshold" in found else None
    shares = {name: _widen(answers, way, found[name], threshold) for name, way in ways.items()}
    has_good = answers.good is not None
    classes = tuple(_class_worth(answers, test, code, found, shares) for code in range(c) if (truth == code).any())
    names = dict.fromkeys(name.partition(" of ")[2] for name in ways if " of " in name)
    confusion = np.bincount(truth * c + test.predicted, minlength=c * c).reshape(c, c)
    curve = roc_points(answers.score[test.rows], truth != answers.good) if has_good else np.zeros((0, 2))
    return Worth(
        len(test.rows), len(np.unique(answers.groups[test.rows])), threshold, shares.get("recall"),
        shares.get("false_rejects"), found.get("auprc"), found["macro_f1"], found["accuracy"], found["calibration"],
        found["classwise"], classes, confusion, curve,
        {name: _part(answers, ways, shares, name) for name in names}, tuple(_rates(answers, test, ways, found)),
        {name: Reliability(found[f"reliability {name}"], one.read(CONFIDENCE))
         for name, (one, _) in test.stated.items()},
    )  # fmt: skip


def _rates(answers: Answers, test: _Test, ways: Mapping[str, _Way], found: Mapping[str, Interval]) -> list[AtRate]:
    """Return the rates that the calibration images can tell apart: of fewer than 1 / rate none may be rejected."""
    n = test.calibration.n_all if {"recall", "false_rejects"} <= set(ways) else 0
    return [AtRate(rate, *(_widen(answers, ways[name], found[f"{name} at {rate}"], found[f"threshold at {rate}"].value)
                           for name in ("recall", "false_rejects"))) for rate in RATES if rate * n >= 1]  # fmt: skip


def _widen(answers: Answers, way: _Way, found: Interval, threshold: float | None) -> Interval:
    assert threshold is not None
    return widen_share(found, answers.score[way.kept] > threshold, answers.groups[way.kept], CONFIDENCE)


def _class_worth(
    answers: Answers, test: _Test, code: int, found: Mapping[str, Interval], shares: Mapping[str, Interval]
) -> ClassWorth:
    rows = test.rows[answers.truth[test.rows] == code]
    above = shares.get(f"found {code}")
    if above is not None and code == answers.good:
        above = Interval(1 - above.value, 1 - above.high, 1 - above.low)
    right = test.predicted[answers.truth[test.rows] == code] == code
    recall = widen_share(found[f"recall_of_class {code}"], right, answers.groups[rows], CONFIDENCE)
    return ClassWorth(code, len(rows), len(np.unique(answers.groups[rows])), above, found[f"precision {code}"], recall,
                      found[f"f1 {code}"], found[f"auprc {code}"], found[f"gap {code}"])  # fmt: skip


def _part(answers: Answers, ways: Mapping[str, _Way], shares: Mapping[str, Interval], name: str) -> Part:
    none = np.zeros(len(answers.truth), bool)
    defects, good = (ways[f"{kind} of {name}"].kept if f"{kind} of {name}" in ways else none
                     for kind in ("recall", "false_rejects"))  # fmt: skip
    n_groups = len(np.unique(answers.groups[defects | good]))
    return Part(int(defects.sum() + good.sum()), int(defects.sum()), n_groups, shares.get(f"recall of {name}"),
                shares.get(f"false_rejects of {name}"))  # fmt: skip


def _bin(share: FloatArray) -> npt.NDArray[np.int64]:
    return np.minimum((np.asarray(share) * N_BINS).astype(np.int64), N_BINS - 1)


def finite(value: float) -> float | None:
    """Return a figure, None where it is undefined or unbounded, as JSON has it."""
    return float(value) if math.isfinite(value) else None
