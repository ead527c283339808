"""Which images of a batch two people label, which known ones are mixed in, whose pre-label is hidden: by chance alone.

Drawn before anybody labels, so that nothing seen can steer it. Arrays in, rows out; activesel.pipelines.assign writes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from activesel.agreement import pairs_needed
from activesel.records import BoolArray, IntArray


def count_overlap(n: int, share: float, half_width: float, prevalence: float | None) -> int:
    """Return how many of n images to label twice: a share, but as many as the interval of kappa needs; n at most.

    prevalence: share of defects expected among them, None = not known: the share alone then.

    >>> count_overlap(500, 0.1, 0.1, 0.2), count_overlap(500, 0.1, 0.1, None), count_overlap(100, 0.1, 0.1, 0.02)
    (116, 50, 100)
    """
    if not share:
        return 0
    needed = 0 if prevalence is None else pairs_needed(half_width, prevalence)
    return min(n, max(math.ceil(share * n), needed))


def draw_stratified(strata: IntArray, n_wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return n_wanted rows, ascending, with each stratum's share as near to its share of all as whole images allow.

    strata: (n,) codes, any integers. Every image of a stratum has the same chance. Chance settles the remainders, so
    that a stratum of one image is drawn as often as any other image is.
    """
    assert 0 <= n_wanted <= len(strata)
    codes, of_row = np.unique(strata, return_inverse=True)
    exact = np.bincount(of_row, minlength=len(codes)) * (n_wanted / max(1, len(strata)))
    counts = np.floor(exact + 1e-9).astype(np.int64)
    # Systematic draw over the remainders: each stratum gets one more with a chance of its remainder.
    order = rng.permutation(len(codes))
    ends = np.cumsum((exact - counts)[order])
    marks = rng.random() + np.arange(n_wanted - counts.sum())
    extra = np.minimum(np.searchsorted(ends, marks, side="right"), len(codes) - 1)
    np.add.at(counts, order[extra], 1)
    rows = [rng.choice(np.flatnonzero(of_row == k), count, replace=False) for k, count in enumerate(counts.tolist())]
    return np.sort(np.concatenate([np.empty(0, np.int64), *rows]))


def choose_gold(classes: IntArray, times_used: IntArray, n_wanted: int, rng: np.random.Generator) -> IntArray:
    """Return rows of known images: the classes in turn, within a class those that people saw least often first.

    classes: (g,) codes. times_used: (g,) batches that each was mixed into; images that come again and again are known
    by heart. Fewer than n_wanted where there are fewer.
    """
    order = np.lexsort((rng.permutation(len(classes)), times_used))
    turns = np.empty(len(classes), np.int64)
    for code in np.unique(classes):
        members = order[classes[order] == code]
        turns[members] = np.arange(len(members))
    return np.lexsort((rng.permutation(len(classes)), turns))[:n_wanted]


def mix_in(n: int, n_more: int, rng: np.random.Generator) -> BoolArray:
    """Return (n + n_more,) which places of the mixed list the n_more take, any set of places as likely."""
    places = np.zeros(n + n_more, bool)
    places[rng.choice(n + n_more, n_more, replace=False)] = True
    return places


def hide_prelabels(overlap: BoolArray, share: float, rng: np.random.Generator) -> BoolArray:
    """Return (n,) whose pre-label is hidden: the whole overlap, and others at random until a share of all is.

    Two people who saw the same pre-label agree with it, which says nothing of how well they agree with each other.
    """
    hidden = overlap.copy()
    n_more = math.ceil(share * len(overlap)) - int(hidden.sum())
    if n_more > 0:
        hidden[rng.choice(np.flatnonzero(~overlap), n_more, replace=False)] = True
    return hidden
