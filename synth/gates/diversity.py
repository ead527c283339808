"""How different the variants of a set are from one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.gates.space import Rows, distances


@dataclass(frozen=True)
class Diversity:
    """n: variants. nearest: smallest distance between two. median: distance of a usual one to its nearest.

    effective: how many wholly different ones the set is worth, 1..n: the exponential of the entropy of the kernel's
    eigenvalues (Vendi score, arXiv 2210.02410).
    """

    n: int
    nearest: float
    median: float
    effective: float


def measure_diversity(rows: Rows, scale: float) -> Diversity:
    """Measure a set (n, d). scale: the distance at which two are half alike, as between real defects of the class."""
    n = len(rows)
    if n < 2:
        return Diversity(n, float("nan"), float("nan"), float(n))
    apart = distances(rows, rows)
    kernel = np.exp2(-((apart / max(scale, 1e-6)) ** 2)).astype(np.float64)
    np.fill_diagonal(apart, np.inf)
    values = np.maximum(np.linalg.eigvalsh(kernel / n), 1e-12)
    effective = float(np.exp(-(values * np.log(values)).sum()))
    return Diversity(n, float(apart.min()), float(np.median(apart.min(axis=1))), effective)
