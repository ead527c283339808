"""The trials of a benchmark in figures: curves with intervals, areas, paired wins, defects found, labels saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from activesel.benchmark.dataset import Dataset
from activesel.benchmark.kept import Trial
from activesel.benchmark.summary import Compared, compare, curve_area, labels_to_reach, mean_interval
from activesel.benchmark.trial import Curve
from activesel.records import FloatArray

REFERENCE = "random"
SCORES = ("macro_f1", "balanced_accuracy", "auprc")
DEFECTS = "defects_found"


@dataclass(frozen=True)
class Estimate:
    """mean over the seeds; half: of its 95 % interval, None from one seed."""

    mean: float
    half: float | None


@dataclass(frozen=True)
class Standing:
    """One strategy over all seeds.

    labels: (r,). curves: score -> (r,) estimates; "defects_found" among them, a count. areas, finals: score ->
    estimate; against: other strategy -> area of macro-F1 compared seed by seed. differences: (s,) ours - random's.
    labels_to_reach: random's final macro-F1, None where the mean curve stays below. recall: class -> area of its
    recall, rare classes first.
    """

    strategy: str
    labels: tuple[int, ...]
    curves: Mapping[str, tuple[Estimate, ...]]
    areas: Mapping[str, Estimate]
    finals: Mapping[str, Estimate]
    against: Mapping[str, Compared]
    differences: tuple[float, ...]
    labels_to_reach: float | None
    recall: Mapping[str, Estimate]
    defects: Estimate


def add_defects(trial: Trial, dataset: Dataset, good: int) -> Trial:
    """Return the trial with one more curve: how many of its labelled images are not of the good class."""
    is_defect = dataset.classes[list(trial.rows)] != good
    found = np.concatenate([[0], np.cumsum(is_defect)])[list(trial.labels)]
    return Trial(trial.strategy, trial.seed, trial.labels,
                 {**trial.scores, DEFECTS: tuple(float(value) for value in found)}, trial.rows)  # fmt: skip


def summarise(trials: Sequence[Trial], dataset: Dataset) -> list[Standing]:
    """Return one standing per strategy, the largest area of macro-F1 first. Trials: with defects, seeds in order."""
    names = list(dict.fromkeys(trial.strategy for trial in trials))
    curves = {name: [_as_curve(trial) for trial in trials if trial.strategy == name] for name in names}
    areas = {name: [curve_area(curve) for curve in curves[name]] for name in names}
    target = float(np.mean([curve.scores["macro_f1"][-1] for curve in curves[REFERENCE]]))
    standings = [_stand(name, curves, areas, target, dataset) for name in names]
    return sorted(standings, key=lambda one: (-one.areas["macro_f1"].mean, one.strategy))


def _stand(
    name: str, curves: Mapping[str, list[Curve]], areas: Mapping[str, list[float]], target: float, dataset: Dataset
) -> Standing:
    own = curves[name]
    rare_first = np.argsort(np.bincount(dataset.classes, minlength=len(dataset.class_names)), kind="stable")
    shown = [*SCORES, DEFECTS, *(f"recall:{number}" for number in rare_first)]
    points = {score: np.array([curve.scores[score] for curve in own], np.float64) for score in shown}
    return Standing(
        name,
        tuple(own[0].labels.tolist()),
        {_title(score, dataset): tuple(map(_estimate, values.T)) for score, values in points.items()},
        {score: _estimate([curve_area(curve, score) for curve in own]) for score in SCORES},
        {score: _estimate(points[score][:, -1]) for score in SCORES},
        {other: compare(areas[name], areas[other]) for other in areas if other != name},
        tuple(np.subtract(areas[name], areas[REFERENCE]).tolist()),
        labels_to_reach(own, target),
        {dataset.class_names[number]: _estimate([curve_area(curve, f"recall:{number}") for curve in own])
         for number in rare_first},
        _estimate(points[DEFECTS][:, -1]),
    )  # fmt: skip


def _as_curve(trial: Trial) -> Curve:
    scores: dict[str, FloatArray] = {name: np.array(values) for name, values in trial.scores.items()}
    return Curve(np.array(trial.labels), scores, np.array(trial.rows))


def _estimate(values: Sequence[float] | FloatArray) -> Estimate:
    mean, half = mean_interval(values)
    return Estimate(mean, half if np.isfinite(half) else None)


def _title(score: str, dataset: Dataset) -> str:
    """recall:2 -> recall:crack."""
    kind, _, number = score.partition(":")
    return f"{kind}:{dataset.class_names[int(number)]}" if number else score
