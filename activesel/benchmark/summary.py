"""Curves of many seeds in a few numbers: area, interval, paired wins, labels saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from activesel.benchmark.trial import Curve
from activesel.records import FloatArray


@dataclass(frozen=True)
class Compared:
    """One strategy against another over paired seeds. difference: mean of ours - theirs; half: of its 95 % interval."""

    difference: float
    half: float
    wins: int
    n: int


def curve_area(curve: Curve, score: str = "macro_f1") -> float:
    """Return the mean height of the curve over the labels (trapezoids), 0..1: the area under it by its width."""
    values = np.asarray(curve.scores[score], np.float64)
    if len(values) == 1:
        return float(values[0])
    return float(np.trapezoid(values, curve.labels) / (curve.labels[-1] - curve.labels[0]))


def mean_interval(values: Sequence[float] | FloatArray) -> tuple[float, float]:
    """Return mean and half width of the 95 % t-interval; infinite from one value."""
    from scipy import stats

    n = len(values)
    if n < 2:
        return float(np.mean(values)), float("inf")
    return float(np.mean(values)), float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Compared:
    """Compare areas seed by seed; a tie is no win."""
    differences = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    mean, half = mean_interval(differences)
    return Compared(mean, half, int((differences > 0).sum()), len(differences))


def labels_to_reach(curves: Sequence[Curve], target: float, score: str = "macro_f1") -> float | None:
    """Return the labels at which the mean curve first reaches ``target``, between points on a straight line.

    None where it never does. At or above it from the first point on: that point's labels.
    """
    mean = np.mean([curve.scores[score] for curve in curves], axis=0)
    labels = curves[0].labels
    above = np.flatnonzero(mean >= target)
    if not len(above):
        return None
    first = int(above[0])
    if first == 0:
        return float(labels[0])
    low, high = mean[first - 1], mean[first]
    return float(labels[first - 1] + (target - low) / (high - low) * (labels[first] - labels[first - 1]))
