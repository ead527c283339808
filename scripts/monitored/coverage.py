"""How often intervals of exploration hold the truth: lines with a selection that takes out what it finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.exploration import (
    effective_size,
    estimate_line,
    estimate_mean,
    horvitz_thompson,
    lure_weights,
    round_weights,
)
from activesel.proof import Interval


@dataclass(frozen=True)
class Held:
    """One estimate of one line: whether its interval held, its error, its width."""

    name: str
    held: bool
    error: float
    width: float


def play_line(
    rng: np.random.Generator, *, prevalence: float, explore: int, rounds: int = 8, n: int = 4000, chosen: int = 60
) -> list[Held]:
    """Play rounds of a selection that takes the surest defects, with so many random images a round; estimate all."""
    defect = rng.random(n) < prevalence
    score = 2.0 * defect + rng.normal(size=n)
    rejected, wrong = score > 1.5, (score > 1.5) != defect
    left, rows, number, drawn, sizes = np.arange(n), [], [], [], []
    for one in range(rounds):
        sizes.append(float(len(left)))
        explored = rng.choice(left, explore, replace=False)
        rest = np.setdiff1d(left, explored)
        picked = rest[np.argsort(-score[rest])][:chosen]
        rows += [*explored, *picked]
        number += [one] * (explore + chosen)
        drawn += [True] * explore + [False] * chosen
        left = np.setdiff1d(left, rows)
    at, of, random = np.array(rows), np.array(number), np.array(drawn)
    weights, certain = round_weights(of, random, np.array(sizes))
    found = estimate_line(defect[at], rejected[at], wrong[at], weights, 0.95, certain=certain)
    truth = {"prevalence": defect.mean(), "recall": rejected[defect].mean() if defect.any() else np.nan,
             "precision": defect[rejected].mean() if rejected.any() else np.nan, "error": wrong.mean()}  # fmt: skip
    held = []
    for name, value in truth.items():
        one = getattr(found, name)
        if one is not None and np.isfinite(value):
            held.append(_judge(name, one.share, float(value)))
    first = at[random & (of == 0)]
    chance = np.full(len(first), explore / n)
    held.append(_judge("Horvitz-Thompson", horvitz_thompson(defect[first], chance, n, 0.95), float(defect.mean())))
    held.append(Held("plain share of labels", False, float(defect[at].mean() - defect.mean()), 0.0))
    return held


def play_lure(rng: np.random.Generator, *, epsilon: float, n: int = 1000, m: int = 150) -> list[Held]:
    """Pick one after the other, at random with a chance of epsilon, else by a softmax that leans to the loss."""
    loss = rng.random(n) < 0.15
    leaning = np.exp(1.5 * (loss + rng.normal(0, 0.7, n)))
    left, rows, chances = np.arange(n), [], []
    for _ in range(m):
        chance = epsilon / len(left) + (1 - epsilon) * leaning[left] / leaning[left].sum()
        at = int(rng.choice(len(left), p=chance / chance.sum()))
        rows.append(left[at])
        chances.append(chance[at])
        left = np.delete(left, at)
    weights = lure_weights(np.array(chances), n)
    found = estimate_mean(loss[rows].astype(float), weights, n, 0.95)
    plain = float(loss[rows].mean() - loss.mean())
    return [_judge(f"LURE, epsilon {epsilon:g}", found, float(loss.mean())),
            Held(f"LURE, epsilon {epsilon:g}, effective size", False, effective_size(weights), 0.0),
            Held(f"plain mean, epsilon {epsilon:g}", False, plain, 0.0)]  # fmt: skip


def _judge(name: str, interval: Interval, truth: float) -> Held:
    holds = interval.low - 1e-12 <= truth <= interval.high + 1e-12
    return Held(name, holds, interval.value - truth, interval.high - interval.low)
