"""What rules agree on, and how good each seems: a table, and Dawid-Skene with abstaining as one more answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray

ABSTAINS = -1
MOST_ROUNDS = 200
TOLERANCE = 1e-6  # of the posteriors, at which the rounds end


@dataclass(frozen=True)
class RuleSummary:
    """One rule over n images, shares 0..1. polarity: classes that it ever says. overlaps: says something where another
    does, too. conflicts: another says something else. n_right of n_known: on images with a label; accuracy of those."""

    name: str
    polarity: tuple[int, ...]
    coverage: float
    overlaps: float
    conflicts: float
    n_right: int
    n_known: int

    @property
    def accuracy(self) -> float | None:
        return self.n_right / self.n_known if self.n_known else None


def summarise(votes: IntArray, names: tuple[str, ...], known: IntArray) -> tuple[RuleSummary, ...]:
    """Describe each rule. votes: (n, r) class or -1 = abstains. known: (n,) class of labelled images, -1 = none."""
    says = votes >= 0
    n = max(1, len(votes))
    found = []
    for rule, name in enumerate(names):
        own = says[:, rule]
        others = np.delete(votes, rule, axis=1)
        differs = ((others >= 0) & (others != votes[:, [rule]])).any(axis=1)
        told = own & (known >= 0)
        found.append(RuleSummary(
            name, tuple(np.unique(votes[own, rule]).tolist()), own.sum() / n,
            (own & (others >= 0).any(axis=1)).sum() / n, (own & differs).sum() / n,
            int((votes[told, rule] == known[told]).sum()), int(told.sum()),
        ))  # fmt: skip
    return tuple(found)


@dataclass(frozen=True)
class LabelModel:
    """posterior: (n, c) rows sum to 1, NaN where every rule abstains. answers: (r, c, c + 1) chance of each answer of a
    rule given the class, the last = abstains. balance: (c,) shares of the classes."""

    posterior: npt.NDArray[np.float64]
    answers: npt.NDArray[np.float64]
    balance: npt.NDArray[np.float64]


def fit_label_model(
    votes: IntArray, n_classes: int, balance: FloatArray, *, known: IntArray | None = None, accuracy: float = 0.8,
    strength: float = 10.0,
) -> LabelModel:  # fmt: skip
    """Fit by expectation maximisation (Dawid & Skene 1979), each answer a vote or an abstention.

    votes: (n, r), -1 = abstains. balance: (c,) expected shares, kept: rules that fire on defects only would otherwise
    talk them up. known: (n,) classes that people gave, -1 = none; they are taken as they are and teach how good a rule
    is. Abstaining counts as an answer, since a rule that says crack or nothing tells by firing. accuracy, strength: the
    prior, that a vote is right so often, worth so many images: keeps a rule that nobody contradicts from being perfect,
    and the classes from changing places. Rules count as independent given the class. Time O(rounds n r c).
    """
    n = len(votes)
    answer = np.where(votes < 0, n_classes, votes)
    known = np.full(n, ABSTAINS) if known is None else known
    share = np.asarray(balance, np.float64) / np.sum(balance)
    prior = _prior(answer, n_classes, share, accuracy) * strength
    # Images of which no rule speaks teach, too: without them rules that are silent together would seem to depend.
    hot = np.eye(n_classes + 1)[answer]  # (n, r, c + 1)
    answers = prior / prior.sum(axis=2, keepdims=True)
    posterior = np.zeros((n, n_classes))
    for _ in range(MOST_ROUNDS):
        fresh = _weigh(hot, answers, share, known)
        done = np.abs(fresh - posterior).max(initial=0.0) < TOLERANCE
        posterior = fresh
        counts = np.einsum("nc,nra->rca", posterior, hot) + prior
        answers = counts / counts.sum(axis=2, keepdims=True)
        if done:
            break
    posterior[(votes < 0).all(axis=1)] = np.nan
    return LabelModel(posterior, answers, share)


def _prior(
    answer: IntArray, n_classes: int, share: npt.NDArray[np.float64], accuracy: float
) -> npt.NDArray[np.float64]:
    """Return (r, c, c + 1) chances such that a vote is right with chance ``accuracy``, as often as it was cast."""
    found = np.empty((answer.shape[1], n_classes, n_classes + 1))
    for rule in range(answer.shape[1]):
        cast = np.bincount(answer[:, rule], minlength=n_classes + 1)[:n_classes] / max(1, len(answer))
        right = accuracy * cast / np.maximum(share, 1e-9)
        wrong = (1 - accuracy) * cast / np.maximum(1 - share, 1e-9)
        votes = np.where(np.eye(n_classes, dtype=bool), right[None, :], wrong[None, :])
        votes *= np.minimum(1.0, 0.99 / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9))
        found[rule] = np.concatenate([votes, 1 - votes.sum(axis=1, keepdims=True)], axis=1)
    return np.maximum(found, 1e-6)


def _weigh(
    hot: npt.NDArray[np.float64], answers: npt.NDArray[np.float64], share: npt.NDArray[np.float64], known: IntArray
) -> npt.NDArray[np.float64]:
    logs = np.einsum("nra,rca->nc", hot, np.log(answers)) + np.log(np.maximum(share, 1e-12))
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    told = known >= 0
    weights[told] = np.eye(len(share))[known[told]]
    return np.asarray(weights)
