"""Give groups of images a side, train, validation or test, so that no group has two; arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from activesel.records import IntArray

TRAIN, VALIDATION, TEST = 0, 1, 2
SIDES = ("train", "validation", "test")
UNKNOWN = -1


def join_groups(n: int, *partitions: IntArray) -> npt.NDArray[np.int64]:
    """Return (n,) group numbers: images that share a number in any partition (n,) are one group; -1 = says nothing.

    Numbered by first member.

    >>> join_groups(4, np.array([0, 0, 1, 2]), np.array([-1, 7, -1, 7])).tolist()
    [0, 0, 1, 0]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    left, right = [], []
    for numbers in partitions:
        known = np.flatnonzero(numbers >= 0)
        _, first, inverse = np.unique(numbers[known], return_index=True, return_inverse=True)
        left.append(known)
        right.append(known[first][inverse])
    rows, columns = np.concatenate([*left, np.arange(n)]), np.concatenate([*right, np.arange(n)])
    links = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(n, n))
    component = connected_components(links, directed=False)[1]
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[inverse])


def deal_sides(
    classes: IntArray, order: IntArray, known: IntArray, shares: tuple[float, float]
) -> npt.NDArray[np.int64]:
    """Return the side (g,) of each group: ``known`` where it is not -1, the others dealt class by class.

    classes: (g,) of each group. order: (g,) numbers, no two equal, that say who is dealt first: drawn from the images'
    names and the seed, never from their order of arrival. shares: of the groups, to validation and to test, 0..1.
    Each group goes where its class lacks most so far, what is known counted, so that a class of three groups or more
    trains and tests, and later groups change no earlier one's side.
    """
    wanted = np.array([1 - sum(shares), *shares])
    sides = np.asarray(known, np.int64).copy()
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        have = np.bincount(sides[members][sides[members] >= 0], minlength=3).astype(np.float64)
        for group in members[np.argsort(order[members])]:
            if sides[group] == UNKNOWN:
                sides[group] = _most_wanting(wanted, have)
                have[sides[group]] += 1
    return sides


def _most_wanting(wanted: npt.NDArray[np.float64], have: npt.NDArray[np.float64]) -> int:
    lacks = wanted * (have.sum() + 1) - have
    lacks[wanted <= 0] = -np.inf  # a side that is to have nothing gets nothing
    preferred = (TRAIN, TEST, VALIDATION)  # of equals; without training there is no model, without a test no number
    return max(preferred, key=lambda side: (round(float(lacks[side]), 9), -preferred.index(side)))


def commonest(classes: IntArray, groups: IntArray, n_groups: int) -> npt.NDArray[np.int64]:
    """Return the most frequent class (g,) of each group's rows, the smallest of equals; -1 for a group without any."""
    found = np.full(n_groups, -1, np.int64)
    if len(classes):
        counts = np.zeros((n_groups, int(classes.max()) + 1), np.int64)
        np.add.at(counts, (groups, classes), 1)
        found = np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
    return found


def merge_sides(sides: Sequence[int]) -> int:
    """Return the side of a group whose images were on these earlier; what ever trained goes on training."""
    return next((side for side in (TRAIN, TEST, VALIDATION) if side in sides), UNKNOWN)
