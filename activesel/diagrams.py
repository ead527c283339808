"""What two pictures of a model's answers show: recall against false rejects, and reliability; arrays in, points out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.proof import Interval, wilson
from activesel.records import BoolArray, FloatArray, IntArray

MOST_BINS = 10
LEAST_IN_BIN = 20  # images; a share of fewer says nothing that a reader should look at


@dataclass(frozen=True)
class Bin:
    """Images whose probabilities are next to each other. low, high: the least and greatest of them; predicted: their
    mean; observed: the share of images of which it was true, with its interval. All 0..1. n: images, n_groups: parts.
    """

    low: float
    high: float
    predicted: float
    observed: Interval
    n: int
    n_groups: int


@dataclass(frozen=True)
class Reliability:
    """error: expected calibration error over these bins of equal mass, 0..1."""

    error: Interval
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class AtRate:
    """What another threshold would give: the rate of false rejects that it is fitted to, and both shares at it."""

    rate: float
    recall: Interval
    false_rejects: Interval


@dataclass(frozen=True)
class Stated:
    """A probability (n,) of each image 0..1, whether what it is of was so (n,), groups (n,), and bins (n,) 0..b-1."""

    probs: npt.NDArray[np.float64]
    hits: BoolArray
    groups: IntArray
    bins: npt.NDArray[np.int64]

    @classmethod
    def of(cls, probs: FloatArray, hits: BoolArray, groups: IntArray) -> Stated:
        """Put the images into bins of equal mass: as many in each, so that none shows a share of three images.

        At most MOST_BINS of at least LEAST_IN_BIN (Nguyen and O'Connor 2015, arXiv:1508.05154). Equal probabilities
        are never parted: where a model says 0 of half of all images, the first bin holds half of them.
        """
        known = np.asarray(probs, np.float64)
        values, counts = np.unique(known, return_counts=True)
        starts, passed = [], 0
        below = counts.cumsum()
        for left in range(max(1, min(MOST_BINS, len(known) // LEAST_IN_BIN)), 1, -1):
            wanted = passed + max((len(known) - passed) / left, LEAST_IN_BIN)
            at = int(np.searchsorted(below, wanted))
            if at >= len(values) or len(known) - below[at] < LEAST_IN_BIN:
                break
            passed = int(below[at])
            starts.append(values[at + 1])
        return cls(known, np.asarray(hits, bool), groups, np.searchsorted(starts, known, side="right"))

    def gaps(self, n_groups: int) -> npt.NDArray[np.float64]:
        """Return (n_groups, b) sums of probability - hit: weighted, absolute, summed and by n it is the error."""
        table = np.zeros((n_groups, int(self.bins.max(initial=0)) + 1))
        np.add.at(table, (self.groups, self.bins), self.probs - self.hits)
        return table

    def read(self, confidence: float) -> tuple[Bin, ...]:
        """Return the bins from the lowest probability to the highest, each with Wilson's interval of its share.

        Images of one part stand or fall together, so that the interval is of Kish's (1965) effective number of parts,
        (sum m)^2 / sum m^2 of m images each; with one image a part it is their number.
        """
        return tuple(self._bin(self.bins == number, confidence) for number in np.unique(self.bins))

    def _bin(self, kept: BoolArray, confidence: float) -> Bin:
        probs, share = self.probs[kept], float(self.hits[kept].mean())
        _, sizes = np.unique(self.groups[kept], return_counts=True)
        parts = float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())
        around = wilson(min(share * parts, parts), parts, confidence)
        observed = Interval(share, min(share, around.low), max(share, around.high))
        return Bin(float(probs.min()), float(probs.max()), float(probs.mean()), observed, len(probs), len(sizes))


def roc_points(scores: FloatArray, is_defect: BoolArray, n_points: int = 200) -> npt.NDArray[np.float64]:
    """Return (k, 2) of false-reject rate and recall as the threshold falls, thinned to n_points."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = is_defect[order]
    steps = np.flatnonzero(np.diff(np.asarray(scores)[order]))
    ends = np.append(steps, len(order) - 1) if len(order) else steps
    recall = hits.cumsum()[ends] / max(1, int(hits.sum()))
    rejects = (~hits).cumsum()[ends] / max(1, int((~hits).sum()))
    points = np.concatenate([[[0.0, 0.0]], np.stack([rejects, recall], axis=1)])
    kept = np.unique(np.linspace(0, len(points) - 1, min(n_points, len(points))).astype(np.int64))
    return np.asarray(points[kept], np.float64)
