"""What was tried on the default strategy: plain numpy on dense kernels, a thousand images at most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from activesel.benchmark.peers import find_chooser
from activesel.benchmark.trial import Chooser, Round
from activesel.training.head import DEFAULT_STRENGTH, fit_head
from activesel.uncertainty import score_margin, temper

BANDWIDTH, NARROW = 0.45, 0.2
COMMITTEE = 8
Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]


def _kernel(rows: npt.NDArray[np.float32], bandwidth: float) -> Array:
    return np.asarray(np.exp(-np.maximum(2 - 2 * (rows @ rows.T), 0) / bandwidth))


def _doubt(shown: Round, temperature: float = 2.0) -> Array:
    if shown.probs is None:
        return np.ones(len(shown.vectors))
    return np.maximum(score_margin(temper(shown.probs, temperature)).astype(np.float64), 1e-6)


def _weight(shown: Round) -> Array:
    return np.asarray(_doubt(shown) ** 2 * _kernel(shown.vectors, BANDWIDTH).mean(axis=1) ** 0.25)


def _farthest(shown: Round, known: Rows, weight: Array, size: int) -> Rows:
    """Plain weighted k-center; the heaviest first where nothing is known."""
    rows = shown.vectors
    distance = np.full(len(rows), 2.0)
    if len(known):
        distance = np.sqrt(np.maximum(2 - 2 * (rows @ rows[known].T).max(axis=1), 0))
    is_open = np.ones(len(rows), bool)
    is_open[known] = False
    picked: list[int] = []
    for _ in range(size):
        best = int(np.where(is_open, weight * distance, -1.0).argmax())
        picked.append(best)
        is_open[best] = False
        distance = np.minimum(distance, np.sqrt(np.maximum(2 - 2 * (rows @ rows[best]), 0)))
    return np.array(picked)


def _coverage(shown: Round, size: int) -> Rows:
    """Sparse-coverage's rule with all pairs instead of a graph."""
    kernel = _kernel(shown.vectors, BANDWIDTH)
    weight = _doubt(shown, 2.5) / kernel.mean(axis=1) ** 1.15
    covered = kernel[shown.labelled].max(axis=0) if len(shown.labelled) else np.zeros(len(kernel))
    picked: list[int] = []
    for _ in range(size):
        gain = np.maximum(kernel - covered, 0) @ weight
        gain[[*shown.labelled, *picked]] = -1
        picked.append(int(gain.argmax()))
        covered = np.maximum(covered, kernel[picked[-1]])
    return np.array(picked)


def _pick_by_neighbours(shown: Round) -> Rows:
    kernel = _kernel(shown.vectors, NARROW)
    doubt = _doubt(shown)
    around = kernel @ doubt / kernel.sum(axis=1)
    density = _kernel(shown.vectors, BANDWIDTH).mean(axis=1)
    return _farthest(shown, shown.labelled, doubt * around * density**0.25, shown.batch)


def _pick_recentred(shown: Round) -> Rows:
    rows, doubt = shown.vectors, _doubt(shown) ** 2
    picked = _farthest(shown, shown.labelled, _weight(shown), shown.batch)
    likeness = rows @ rows[picked].T
    owner, nearest = likeness.argmax(axis=1), likeness.max(axis=1)
    if len(shown.labelled):
        owner[(rows @ rows[shown.labelled].T).max(axis=1) > nearest] = -1
    owner[shown.labelled] = -1
    owner[picked] = np.arange(len(picked))
    moved = []
    for number in range(len(picked)):
        members = np.flatnonzero(owner == number)
        centre = doubt[members] @ rows[members]
        moved.append(int(members[(rows[members] @ centre).argmax()]))
    return np.array(moved)


def _pick_both(shown: Round) -> Rows:
    first = _coverage(shown, shown.batch // 2)
    known = np.concatenate([shown.labelled, first]).astype(np.int64)
    return np.concatenate([first, _farthest(shown, known, _weight(shown), shown.batch - len(first))])


def _skill(shown: Round) -> float:
    """Return what least squares knows of the labels at hand, 0 no better than chance .. 1 all: balanced accuracy with
    each label left out in turn, in closed form."""
    present, classes = np.unique(shown.classes, return_inverse=True)
    if len(present) < 2:
        return 0.0
    rows = shown.vectors[shown.labelled].astype(np.float64)
    rows = rows - rows.mean(axis=0)
    kernel = rows @ rows.T
    inverse = np.linalg.inv(kernel + 0.1 * np.trace(kernel) / len(kernel) * np.eye(len(kernel)))
    wanted = np.eye(len(present))[classes] / np.bincount(classes)[classes, None] ** 0.5
    left_out = wanted - (inverse @ wanted) / np.diag(inverse)[:, None]
    right = left_out.argmax(axis=1) == classes
    balanced = float(np.mean([right[classes == one].mean() for one in range(len(present))]))
    return max(0.0, (balanced - 1 / len(present)) / (1 - 1 / len(present)))


def _pick_by_skill(shown: Round) -> Rows:
    """As much coverage as the model lacks skill."""
    if shown.probs is None:
        return _farthest(shown, shown.labelled, _weight(shown), shown.batch)
    size = round(shown.batch * (1 - _skill(shown)) ** 2)
    first = _coverage(shown, size) if size else np.empty(0, np.int64)
    known = np.concatenate([shown.labelled, first]).astype(np.int64)
    return np.concatenate([first, _farthest(shown, known, _weight(shown), shown.batch - size)]).astype(np.int64)


def _trust_by_skill(shown: Round) -> Rows:
    """The exponent of the doubt from 0.5 without skill to 3 with all."""
    trust = 0.5 + 2.5 * (_skill(shown) if shown.probs is not None else 0.0)
    weight = _doubt(shown) ** trust * _kernel(shown.vectors, BANDWIDTH).mean(axis=1) ** 0.25
    return _farthest(shown, shown.labelled, weight, shown.batch)


def _pick_by_committee(shown: Round) -> Rows:
    """Doubt of the mean of heads, each fitted on a bootstrap of the labels."""
    return _farthest(shown, shown.labelled, _weight(_ask_committee(shown)), shown.batch)


def _pick_by_all(shown: Round) -> Rows:
    """The committee's doubt, and that of the neighbours, trusted by skill."""
    asked = _ask_committee(shown)
    kernel, doubt = _kernel(shown.vectors, NARROW), _doubt(asked)
    both = doubt * (kernel @ doubt / kernel.sum(axis=1))
    trust = 0.5 + _skill(shown) if shown.probs is not None else 1.0
    weight = both**trust * _kernel(shown.vectors, BANDWIDTH).mean(axis=1) ** 0.25
    return _farthest(shown, shown.labelled, weight, shown.batch)


def _pick_by_committee_and_neighbours(shown: Round) -> Rows:
    return _pick_by_neighbours(_ask_committee(shown))


def _ask_committee(shown: Round) -> Round:
    if shown.probs is None:
        return shown
    rng = np.random.default_rng(shown.seed + len(shown.labelled))
    members = []
    for _ in range(COMMITTEE):
        some = rng.integers(0, len(shown.labelled), len(shown.labelled))
        if len(np.unique(shown.classes[some])) > 1:
            members.append(_fitted(shown, some))
    return replace(shown, probs=np.mean([shown.probs, *members], axis=0))


def _fitted(shown: Round, some: Rows) -> npt.NDArray[np.float32]:
    head = fit_head(
        shown.vectors[shown.labelled[some]], shown.classes[some], shown.n_classes, strength=DEFAULT_STRENGTH
    )
    return np.asarray(head.probabilities(shown.vectors), np.float32)


def _pick_by_class(shown: Round) -> Rows:
    """Images taken for a class that is rare among the predictions first."""
    weight = _weight(shown)
    if shown.probs is not None:
        share = np.maximum(shown.probs.mean(axis=0), 1e-3)
        weight = weight * (shown.probs @ share**-0.5)
    return _farthest(shown, shown.labelled, weight, shown.batch)


def _only_cold(pick: Chooser) -> Chooser:
    usual = find_chooser("default")
    return lambda shown: pick(shown) if shown.probs is None else usual(shown)


VARIANTS: dict[str, Chooser] = {
    "default": find_chooser("default"),
    "trust 1": find_chooser("default/trust=1.0"),
    "no density": find_chooser("default/density_power=0.0"),
    "doubt of the neighbours too": _pick_by_neighbours,
    "recentred": _pick_recentred,
    "first batch recentred": _only_cold(_pick_recentred),
    "first batch half coverage": _only_cold(_pick_both),
    "half coverage": _pick_both,
    "coverage for want of skill": _pick_by_skill,
    "trust by skill": _trust_by_skill,
    "committee": _pick_by_committee,
    "committee and neighbours": _pick_by_committee_and_neighbours,
    "committee, neighbours, trust by skill": _pick_by_all,
    "rare predictions first": _pick_by_class,
    "sparse-coverage": find_chooser("sparse-coverage"),
    "mundig:diversity-margin": find_chooser("mundig:diversity-margin"),
    "ska:Badge": find_chooser("ska:Badge"),
    "random": find_chooser("random"),
}
