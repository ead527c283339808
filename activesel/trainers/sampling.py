"""Which images a training sees, batch by batch: classes alike, made defects never instead of real ones; arrays only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from activesel.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Stock:
    """What there is to learn from. classes: (m,) 0..c-1. is_made: (m,). weights: (m,) above 0, a real image's 1.

    good: the class whose images are no positives, -1 where there is none.
    """

    classes: IntArray
    is_made: BoolArray
    weights: FloatArray
    good: int = -1


def plan_epoch(stock: Stock, n_batches: int, batch: int, floor: float, rng: np.random.Generator) -> IntArray:
    """Return (n_batches, batch) rows of the images to learn from.

    Every class present has as many places, give or take one a batch. Within a class images come in proportion to their
    weights, each as often as its share or once more. Of the positives in each batch, real ones are a share ``floor``
    (0..1) at least, as long as there is a real positive at all: places of made ones beyond that become real ones, of
    their own class where it has any, else of any positive class (docs/proof.md has what too many made ones do).
    """
    present = np.unique(stock.classes)
    # One long round over all batches, so that no class comes short where they do not divide a batch evenly.
    own = rng.permuted(np.resize(rng.permutation(present), (n_batches, batch)), axis=1)
    made = rng.random(own.shape) < _made_share(stock)[own]
    own, made = _keep_floor(stock, own, made, floor, rng)
    rows = np.empty(own.shape, np.int64)
    for code in present:
        for is_made in (False, True):
            places = (own == code) & (made == is_made)
            members = np.flatnonzero((stock.classes == code) & (stock.is_made == is_made))
            rows[places] = _deal(members, stock.weights[members], int(places.sum()), rng)
    return rows


def _made_share(stock: Stock) -> FloatArray:
    """Return (c,) the share of each class's weight that made images have."""
    n = int(stock.classes.max()) + 1
    made = np.bincount(stock.classes, stock.weights * stock.is_made, minlength=n)
    return np.asarray(made / np.maximum(np.bincount(stock.classes, stock.weights, minlength=n), 1e-12))


def _keep_floor(
    stock: Stock, own: IntArray, made: BoolArray, floor: float, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Return the places with their classes and whether a made image goes there, after the floor."""
    real_of = np.unique(stock.classes[~stock.is_made])  # classes with a real example
    real_positive = real_of[real_of != stock.good]
    if not len(real_positive):
        return own, made
    own, made = own.copy(), made.copy()
    for classes, is_made in zip(own, made, strict=True):
        positive = classes != stock.good
        most = int(positive.sum()) - math.ceil(floor * int(positive.sum()))
        places = rng.permutation(np.flatnonzero(positive & is_made))
        # Classes without a real example keep their made ones the longest: they have no other.
        places = places[np.argsort(np.isin(classes[places], real_of), kind="stable")]
        for place in places[most:]:
            is_made[place] = False
            if classes[place] not in real_of:
                classes[place] = rng.choice(real_positive)
    return own, made


def _deal(members: IntArray, weights: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Return n of the members in random order, each as often as its share of the weights or once more (systematic)."""
    if n == 0:
        return np.empty(0, np.int64)
    order = rng.permutation(len(members))
    edges = np.cumsum(weights[order]) / np.sum(weights)
    at = np.searchsorted(edges, (rng.random() + np.arange(n)) / n, side="right")
    return np.asarray(rng.permutation(members[order[np.minimum(at, len(members) - 1)]]))
