"""Labels that are probably wrong: confident learning on probabilities held out; arrays in, a ranked list out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray


@dataclass(frozen=True)
class LabelErrors:
    """rows: (k,) into the labels given, the most doubtful first. suggested: (k,) the likeliest class, which is another.
    self_confidence: (k,) p(label), 0..1, lower = more doubtful; margin: (k,) p(label) - p(suggested), -1..0.
    confident: (k,) whether the row is off the diagonal of the confident joint: surely enough of the other class.
    joint: (c, c) share of images labelled i that are of class j, sums to 1. thresholds: (c,) mean p(i) of the images
    labelled i, NaN without any.
    """

    rows: npt.NDArray[np.int64]
    suggested: npt.NDArray[np.int64]
    self_confidence: npt.NDArray[np.float64]
    margin: npt.NDArray[np.float64]
    confident: npt.NDArray[np.bool_]
    joint: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]

    @property
    def share(self) -> float:
        """Estimated share of all labels that are wrong: what is off the joint's diagonal."""
        return float(self.joint.sum() - np.trace(self.joint))


def find_label_errors(probs: FloatArray, labels: IntArray) -> LabelErrors:
    """Rank labels that look like another class (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068).

    probs: (m, c) by a model that has not seen the row, rows of NaN are left out. labels: (m,) as given. In doubt is
    every label that is not the likeliest class, ranked by self-confidence (their section 3.2). A row is confidently of
    class j where p(j) reaches the mean p(j) of the images labelled j, the likeliest such j counting (eq. 1): what is
    counted so off the diagonal is flagged, and says how many labels are wrong. Time O(m c).
    """
    known = np.flatnonzero(np.isfinite(probs).all(axis=1))
    given, seen = np.asarray(labels)[known], np.asarray(probs, np.float64)[known]
    n_classes = probs.shape[1]
    counts = np.bincount(given, minlength=n_classes)
    own, likeliest = seen[np.arange(len(given)), given], seen.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(given, own, minlength=n_classes) / counts
    reaches = seen >= np.where(counts > 0, thresholds, np.inf) - 1e-12
    confident = np.where(reaches.any(axis=1), np.where(reaches, seen, -1.0).argmax(axis=1), -1)
    joint = _estimate_joint(given, confident, counts)
    found = np.flatnonzero(likeliest != given)
    found = found[np.lexsort((known[found], own[found]))]
    flagged = (confident[found] >= 0) & (confident[found] != given[found])
    margin = own[found] - seen[found, likeliest[found]]
    return LabelErrors(known[found], likeliest[found], own[found], margin, flagged, joint, thresholds)


def rank_alike(probs: FloatArray, labels: IntArray, kind: int) -> npt.NDArray[np.int64]:
    """Return the labels of other classes that may be of class ``kind``, the likeliest first: rows (k,).

    probs: (m, c) as above. For a class that nobody knew when the labels were given: too few examples make a model's
    likeliest class of any image, so that nothing contradicts the old labels outright.

    >>> rank_alike(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), np.array([0, 0, 1]), 1).tolist()
    [1, 0]
    """
    rows = np.flatnonzero(np.isfinite(probs).all(axis=1) & (np.asarray(labels) != kind))
    return rows[np.argsort(-np.asarray(probs, np.float64)[rows, kind], kind="stable")]


def _estimate_joint(given: IntArray, confident: IntArray, counts: IntArray) -> npt.NDArray[np.float64]:
    """Return the counts of (label, confident class), each row stretched to its label's number, over all (eq. 3)."""
    n_classes = len(counts)
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (given[confident >= 0], confident[confident >= 0]), 1)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1.0
    joint *= (counts / joint.sum(axis=1))[:, None]
    return np.asarray(joint / max(1.0, joint.sum()))
