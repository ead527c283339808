"""What people meant, from what each of them said: Dawid & Skene's model with priors, and the plain majority.

Opinions come as three columns: image, rater and class of each, in any order; an image may have any number of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray

MOST_ROUNDS = 200
SAME = 1e-6  # largest change of a posterior at which the rounds end


@dataclass(frozen=True)
class Opinions:
    """m opinions. images: (m,) 0..n-1, raters: (m,) 0..r-1, classes: (m,) 0..c-1."""

    images: IntArray
    raters: IntArray
    classes: IntArray
    n_images: int
    n_raters: int
    n_classes: int


@dataclass(frozen=True)
class Consensus:
    """posterior: (n, c) rows sum to 1. prevalence: (c,). n_rounds: of the iteration.

    confusion: (r, c, c) chance that a rater says the third index where the second is true.
    """

    posterior: npt.NDArray[np.float64]
    confusion: npt.NDArray[np.float64]
    prevalence: npt.NDArray[np.float64]
    n_rounds: int


def count_votes(opinions: Opinions) -> npt.NDArray[np.int64]:
    """Return (n, c) how many raters said each class of each image."""
    flat = np.asarray(opinions.images, np.int64) * opinions.n_classes + opinions.classes
    counts = np.bincount(flat, minlength=opinions.n_images * opinions.n_classes)
    return counts.reshape(opinions.n_images, opinions.n_classes)


def vote_majority(votes: IntArray) -> npt.NDArray[np.int64]:
    """Return (n,) the class that most raters said, the lowest of equals; -1 without an opinion."""
    return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1)


def reach_consensus(
    opinions: Opinions, *, known: IntArray | None = None, prior: FloatArray | None = None, accuracy: float = 0.9,
    weight: float = 4.0, trust: float = 1.0,
) -> Consensus:  # fmt: skip
    """Weigh raters by how reliable they prove to be on each class (Dawid & Skene 1979), by expectation maximisation.

    known: (n,) true class of images whose answer is known, -1 elsewhere; they teach what raters are worth.
    prior: (n, c) what is believed of each image before anybody speaks, by a calibrated model say, rows of NaN where
    nothing is; None = nothing of any. Elsewhere it is the prevalence of the classes, which is learned.
    trust: how far the prior is believed, 0..1; below 1 it is drawn towards the prevalence: p^trust q^(1 - trust).
    accuracy, weight: a rater nobody has seen is taken to be right so often, as if seen on ``weight`` images of each
    class: without such a prior a rare class makes a few opinions look infallible. Starts from the votes, so there is
    nothing random in it. Time O(rounds m c).
    """
    c = opinions.n_classes
    pseudo = np.full((c, c), weight * (1 - accuracy) / max(1, c - 1))
    np.fill_diagonal(pseudo, weight * accuracy)
    votes = count_votes(opinions)
    start = _believe(prior, trust, np.full(c, 1 / c))
    posterior = (votes + 0.5 * start) / (votes.sum(axis=1, keepdims=True) + 0.5)
    fixed = None if known is None else np.flatnonzero(known >= 0)
    posterior = _fix(posterior, known, fixed)
    n_rounds, moved = 0, True
    while moved and n_rounds < MOST_ROUNDS:
        n_rounds += 1
        confusion, prevalence = _maximise(opinions, posterior, pseudo)
        before, expected = posterior, _expect(opinions, confusion, _believe(prior, trust, prevalence))
        posterior = _fix(expected, known, fixed)
        moved = bool(np.abs(posterior - before).max(initial=0.0) >= SAME)
    return Consensus(posterior, confusion, prevalence, n_rounds)


def _believe(
    prior: FloatArray | None, trust: float, prevalence: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return (n, c), or (1, c) where it is the same of all: chances before anybody speaks, rows sum to 1."""
    if prior is None or not trust:
        return prevalence[None]
    mixed = np.maximum(prior, 1e-12) ** trust * prevalence ** (1 - trust)
    return np.where(np.isnan(mixed), prevalence, mixed / mixed.sum(axis=1, keepdims=True))


def _maximise(
    opinions: Opinions, posterior: FloatArray, pseudo: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return confusion (r, c, c) and prevalence (c,), each the mean under its Dirichlet prior."""
    r, c = opinions.n_raters, opinions.n_classes
    said = np.asarray(opinions.raters, np.int64) * c + opinions.classes
    counts = np.stack([np.bincount(said, weights=posterior[opinions.images, k], minlength=r * c) for k in range(c)])
    confusion = counts.reshape(c, r, c).transpose(1, 0, 2) + pseudo
    seen = posterior.sum(axis=0) + 0.5
    return confusion / confusion.sum(axis=2, keepdims=True), seen / seen.sum()


def _expect(opinions: Opinions, confusion: FloatArray, before: FloatArray) -> npt.NDArray[np.float64]:
    logs = np.log(np.maximum(confusion, 1e-300))
    score = np.stack([
        np.bincount(opinions.images, weights=logs[opinions.raters, k, opinions.classes], minlength=opinions.n_images)
        for k in range(opinions.n_classes)
    ], axis=1) + np.log(np.maximum(before, 1e-300))  # fmt: skip
    likely = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def _fix(posterior: npt.NDArray[np.float64], known: IntArray | None, rows: IntArray | None) -> npt.NDArray[np.float64]:
    if known is not None and rows is not None and len(rows):
        posterior[rows] = 0.0
        posterior[rows, known[rows]] = 1.0
    return posterior
