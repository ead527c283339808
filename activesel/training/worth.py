"""Whether another batch is worth its labels: expected macro-F1 with more, and when more stop paying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.training.growth import fit_growth
from activesel.training.head import DEFAULT_STRENGTH, fit_head
from activesel.training.outlook import Point as Point
from activesel.training.outlook import Worth as Worth
from activesel.training.signals import Signals, macro_f1, measure_signals

REACH = 4  # times the labels at hand: farther than that nothing is said
N_AHEAD = 40  # points of the expected curve
MIN_TESTED, MIN_TESTED_EACH = 50, 3  # evaluation labels from which their score is told instead; of every class
N_RESAMPLES = 200
TOLD_APART = 0.1, 0.9  # quantiles that an interval ends at: 80 % lie within


@dataclass(frozen=True)
class Errors:
    """Half of an 80 % interval: of a score, and of a gain as a fixed part and a share of the gain, added as squares."""

    score: float
    gain: float
    gain_share: float


ERRORS = Errors(0.114, 0.014, 0.7)  # fitted by scripts/run_stopping.py: docs/stopping_measured.md


@dataclass(frozen=True)
class Evaluation:
    """Evaluation labels: (t, d) unit rows drawn at random, and their classes (t,), numbered as the others are."""

    vectors: FloatArray
    classes: IntArray


def estimate_worth(
    vectors: FloatArray, classes: IntArray, pool: FloatArray, *, budget: int, least_gain: float,
    groups: IntArray | None = None, tested: Evaluation | None = None, seed: int = 0,
) -> Worth:  # fmt: skip
    """Estimate from (m, d) labelled unit rows with classes (m,), and (n, d) rows of the pool they were chosen from.

    budget: labels of a batch, 1 or more. groups: see ``measure_signals``. tested: used where there are MIN_TESTED, of
    every class that has a label MIN_TESTED_EACH.

    Raises:
        DataError: too few labels.
    """
    signals = measure_signals(vectors, classes, pool, groups=groups, seed=seed)
    known = None
    if tested is not None and _can_test(classes, tested):
        known = _test(vectors, classes, tested, seed)
    return judge(signals, budget=budget, least_gain=least_gain, known=known)


def judge(
    signals: Signals, *, budget: int, least_gain: float, known: tuple[float, float, float] | None = None,
    errors: Errors = ERRORS,
) -> Worth:  # fmt: skip
    """Fit the curve of what heads on parts of the labels score on the pool, and read off what lies ahead.

    known: the present score with its interval, where evaluation labels told it: the curve then starts there.
    """
    m = signals.n_labels
    growth = fit_growth(signals.part_labels, signals.believed)
    now = min(1.0, float(signals.believed[-1] + growth.at(m) - growth.at(signals.part_labels[-1])))
    score, low, high = known or (now, max(0.0, now - errors.score), min(1.0, now + errors.score))

    def gain_at(labels: int) -> float:
        return min(float(growth.at(labels) - growth.at(m)), 1 - score)

    def point_at(labels: int) -> Point:
        expected = score + gain_at(labels)
        return _around(labels, expected, gain_half(gain_at(labels), errors) if labels > m else 0.0)

    ends = np.arange(m, REACH * m + 1, max(budget, m // 200))
    too_little = np.flatnonzero(growth.at(ends + budget) - growth.at(ends) < least_gain)
    enough_at = int(ends[too_little[0]]) if len(too_little) else None
    gain = gain_at(m + budget)
    half = gain_half(gain, errors)
    last = max(m + 2 * budget, 2 * m, 0 if enough_at is None else enough_at + budget)
    ahead = sorted({m, *np.linspace(m + budget, last, N_AHEAD).astype(int).tolist()})
    parts = zip(signals.part_labels.tolist(), signals.believed.tolist(), strict=True)
    measured = [_around(max(1, round(labels)), one, errors.score) for labels, one in parts]
    return Worth(
        m, signals.n_classes, budget, score, low, high, "pool" if known is None else "evaluation labels",
        gain, gain - half, min(gain + half, 1 - score), min(1.0, score + growth.level - float(growth.at(m))),
        least_gain, enough_at, signals.held_out, tuple(measured), tuple(point_at(labels) for labels in ahead),
    )  # fmt: skip


def _around(labels: int, score: float, half: float) -> Point:
    return Point(labels, score, max(0.0, score - half), min(1.0, score + half))


def gain_half(gain: float, errors: Errors) -> float:
    """Return half of the 80 % interval of a gain."""
    return float(np.hypot(errors.gain, errors.gain_share * gain))


def describe_worth(worth: Worth) -> str:
    """Say it in a sentence."""
    gain, low, high = (round(number, 3) + 0.0 for number in (worth.gain, worth.gain_low, worth.gain_high))  # no -0
    text = (f"the next {worth.budget:,} labels are expected to raise macro-F1 by {gain:.3f} "
            f"({low:.3f} .. {high:.3f}); ")  # fmt: skip
    if worth.enough_at is None:
        return text + f"when a batch brings less than {worth.least_gain:g} is not within reach of an estimate"
    if worth.enough_at == worth.n_labels:
        return text + f"that is less than the {worth.least_gain:g} a batch should bring"
    return text + f"below {worth.least_gain:g} per batch after about {_round(worth.enough_at):,} labels"


def _round(labels: int) -> int:
    """1387 -> 1400: two digits say all that is known."""
    step = int(10 ** max(0, len(str(labels)) - 2))
    return round(labels / step) * step


def _can_test(classes: IntArray, tested: Evaluation) -> bool:
    counts = np.bincount(tested.classes, minlength=int(classes.max()) + 1)
    return len(tested.classes) >= MIN_TESTED and bool((counts[np.unique(classes)] >= MIN_TESTED_EACH).all())


def _test(vectors: FloatArray, classes: IntArray, tested: Evaluation, seed: int) -> tuple[float, float, float]:
    """Return macro-F1 of a head on all labels, and its 80 % bootstrap interval over the evaluation labels."""
    n_classes = int(max(classes.max(), tested.classes.max())) + 1
    head = fit_head(vectors, classes, n_classes, strength=DEFAULT_STRENGTH)
    said = head.probabilities(tested.vectors).argmax(axis=1)
    rng = derive_rng(seed, "worth-tested")
    draws = rng.integers(len(said), size=(N_RESAMPLES, len(said)))
    scores = [macro_f1(tested.classes[rows], said[rows], n_classes) for rows in draws]
    low, high = np.quantile(scores, TOLD_APART)
    score = macro_f1(tested.classes, said, n_classes)
    return score, float(min(low, score)), float(max(high, score))
