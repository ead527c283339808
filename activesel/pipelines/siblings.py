"""A class too rare to be judged: what variants do for the other classes, each cut to as few real images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from activesel.pipelines.foldsets import Workroom, make_copies, make_variants
from activesel.pipelines.realset import RealSet
from activesel.pipelines.synthesise import GenerateRequest, translate
from activesel.progress import show_progress
from activesel.promotion import LEAST_GROUPS, average_precision
from activesel.records import IntArray
from activesel.seeds import derive_rng, derive_seed
from activesel.training.mixture import UNTESTED_SHARE, Labelled, Made, deal_folds, score_with
from synth.hosts import choose_hosts

MOST_SIBLINGS = 4  # those with the most groups: each costs a set of variants a draw
DRAWS = 3
Gains = dict[str, dict[str, list[float]]]  # rival -> sibling -> differences of average precision, one a draw


def find_siblings(real: RealSet, label: str, n_groups: int, good: str | None = None) -> tuple[str, ...]:
    """Return classes with cut-out defects and groups enough to keep ``n_groups`` and hold LEAST_GROUPS out, the most
    frequent first. good: the class of the hosts, None = found out as `activesel synth` does."""
    with translate():
        good = choose_hosts(real.table, label, good).good
    cut_out = {one.label for one in real.table.examples if one.mask or one.box} - {good}
    truth = real.labelled
    counts = {name: len(np.unique(truth.groups[truth.classes == real.number_of(name)]))
              for name in real.names if name in cut_out and name != label}  # fmt: skip
    able = [name for name, count in counts.items() if count >= 2 * max(n_groups, LEAST_GROUPS)]
    return tuple(sorted(able, key=lambda name: (-counts[name], name))[:MOST_SIBLINGS])


def measure_siblings(
    request: GenerateRequest, room: Workroom, real: RealSet, n_groups: int, rivals: tuple[str, str]
) -> Gains:
    """Return what variants gain on each sibling over real images alone and over augmented copies, ``rivals``.

    Each draw halves the real images, groups whole, keeps ``n_groups`` groups of the sibling in one half, makes variants
    from that half alone, and scores the other half.
    """
    names = find_siblings(real, request.label, n_groups, request.good)
    gains: Gains = {rival: {name: [] for name in names} for rival in rivals}
    with show_progress("prove by siblings", len(names) * DRAWS) as advance:
        for name in names:
            for draw in range(DRAWS):
                found = _measure(replace(request, label=name), room, real, n_groups, draw)
                for rival, value in zip(rivals, found, strict=True):
                    gains[rival][name].append(value)
                advance(1)
    return gains


def _measure(request: GenerateRequest, room: Workroom, real: RealSet, n_groups: int, draw: int) -> tuple[float, float]:
    truth, number = real.labelled, real.number_of(request.label)
    rng = derive_rng(request.seed, "siblings", request.label, draw)
    halves = deal_folds(truth.classes, truth.groups, 2, rng)
    side = keep_groups(truth, np.flatnonzero(halves == 0), number, n_groups, rng)
    test = truth.take(np.flatnonzero(halves == 1))
    asked = replace(request, seed=derive_seed(request.seed, "siblings", request.label, draw) % 2**31)
    train = truth.take(side)

    def score(made: Made | None) -> float:
        scores = score_with(train, made, UNTESTED_SHARE, test.vectors)
        return float(average_precision(scores[:, number], test.classes == number)[0])

    variants = score(make_variants(room, real, side, asked))
    copies = score(make_copies(room, real, side, asked.label, asked.count, asked.seed))
    return variants - score(None), variants - copies


def keep_groups(truth: Labelled, side: IntArray, number: int, n_groups: int, rng: np.random.Generator) -> IntArray:
    """Return the side's rows with ``n_groups`` groups of the class left, one image of each."""
    own = rng.permutation(side[truth.classes[side] == number])
    first = np.sort(np.unique(truth.groups[own], return_index=True)[1])[:n_groups]
    return np.sort(np.concatenate([side[truth.classes[side] != number], own[first]]))
