"""What another batch is expected to bring, as a value; activesel.training.worth, which needs torch, works it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Point:
    """Macro-F1 at a number of labels, with the ends of its interval."""

    labels: int
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Worth:
    """What the next ``budget`` labels are expected to bring, in macro-F1 0..1; intervals hold 80 %.

    score: with the ``n_labels`` at hand, on evaluation labels, else on the pool as the head itself expects it. gain:
    expected of the next ``budget``. ceiling: what the curve approaches. least_gain: what a batch has to bring.
    enough_at: labels from which on a batch of that size is expected to bring less; n_labels where the next one does
    already, None where that is out of reach.
    held_out: macro-F1 on held-out labels, which is too low where a strategy chose them. measured: the curve so far, of
    heads on parts of the labels. ahead: the expected one; its first point is today's, its second that after the batch.
    """

    n_labels: int
    n_classes: int
    budget: int
    score: float
    score_low: float
    score_high: float
    told_by: Literal["pool", "evaluation labels"]
    gain: float
    gain_low: float
    gain_high: float
    ceiling: float
    least_gain: float
    enough_at: int | None
    held_out: float
    measured: tuple[Point, ...]
    ahead: tuple[Point, ...]
