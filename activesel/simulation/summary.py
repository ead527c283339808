"""What the rounds of all seeds come to: curves with intervals, paired gains over the twins, labels that sufficed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from activesel.benchmark.summary import Compared, compare, mean_interval
from activesel.simulation.arms import RANDOM
from activesel.simulation.scores import Point
from activesel.simulation.story import Simulated

MEASURES = ("macro_f1", "auprc", "recall")
WITHIN = 0.02  # of macro-F1 with all labels


@dataclass(frozen=True)
class Series:
    """The mean over seeds of one value after each round; half: of its 95 % interval, nan of a single seed."""

    means: tuple[float, ...]
    halves: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One arm at its end. against: paired difference of macro-F1, averaged over rounds, to the random twin, None of the
    twin itself. reached: labels at which the mean curve comes within WITHIN of all labels' macro-F1, None = never.
    """

    name: str
    n_labels: float
    n_defects: float
    money: float
    minutes: float
    wrong: float
    macro_f1: float
    against: Compared | None
    reached: float | None

    @property
    def gain(self) -> str:
        """0.034 ± 0.012, 3 of 3 seeds."""
        if self.against is None:
            return ""
        half = "" if not np.isfinite(self.against.half) else f" ± {self.against.half:.3f}"
        return f"{self.against.difference:+.3f}{half}, {self.against.wins} of {self.against.n} seeds"


@dataclass(frozen=True)
class Summary:
    """rows: in the order of the arms. everything: the model with all labels, mean over seeds. n_pool: those labels."""

    rows: tuple[Row, ...]
    everything: Mapping[str, float]
    n_pool: float


def summarise(found: Simulated) -> Summary:
    """Sum up all seeds."""
    everything = {name: float(np.mean([one[name] for one in found.everything])) for name in MEASURES}
    rows = []
    for name, seeds in found.points.items():
        last = [points[-1] for points in seeds]
        against = None if name == RANDOM else compare(_areas(seeds), _areas(found.points[RANDOM]))
        reached = find_reached(seeds, everything["macro_f1"] - WITHIN)
        labels, defects, money, minutes, wrong, score = (
            _mean(last, of) for of in (_labels, _defects, _money, _minutes, _wrong, macro_f1)
        )
        rows.append(Row(name, labels, defects, money, minutes, wrong, score, against, reached))
    return Summary(tuple(rows), everything, float(np.mean(found.n_pool)))


def find_reached(seeds: Sequence[Sequence[Point]], target: float) -> float | None:
    """Return the labels after the first round whose mean macro-F1 is ``target`` or more, None where none is."""
    labels, scores = series(seeds, _labels).means, series(seeds, macro_f1).means
    return next((count for count, score in zip(labels, scores, strict=True) if score >= target), None)


def series(seeds: Sequence[Sequence[Point]], value: Callable[[Point], float]) -> Series:
    """Return a value of every round, over the seeds."""
    intervals = [mean_interval([value(one) for one in same]) for same in zip(*seeds, strict=True)]
    return Series(tuple(mean for mean, _ in intervals), tuple(half for _, half in intervals))


def macro_f1(point: Point) -> float:
    """Of the round's newest model, gated or not."""
    return point.newest["macro_f1"]


def _areas(seeds: Sequence[Sequence[Point]]) -> list[float]:
    return [float(np.mean([macro_f1(one) for one in points])) for points in seeds]


_labels, _defects, _money, _minutes, _wrong = (
    attrgetter(name) for name in ("n_labels", "n_defects", "money", "minutes", "wrong")
)


def _mean(points: Sequence[Point], value: Callable[[Point], float]) -> float:
    return float(np.mean([value(one) for one in points]))
