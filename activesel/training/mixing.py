"""From a few variants to many examples, in vector space: what made each one different, seen on other images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.records import FloatArray

LEAST_ROWS = 600  # mixed examples; fewer, and chance decides (docs/synthesis_measured.md)
EVENNESS = 2.0  # of the shares in a mixture, Beta(2, 2): about halves, seldom one alone


@dataclass(frozen=True)
class Seen:
    """What the mixtures are made from, unit rows all: variants (s, d) and their hosts (s, d); other images like the
    hosts (h, d); real examples of the class (r, d)."""

    variants: FloatArray
    hosts: FloatArray
    others: FloatArray
    real: FloatArray


def mix(seen: Seen, rng: np.random.Generator) -> FloatArray:
    """Return (m, d) unit rows, m = 600 or each variant once if they are more, each a new example of the class.

    A variant less its host is what the defect does to a vector, free of the host; added to another host's vector it is
    that defect there (feature transfer, Hariharan & Girshick 2017, arXiv:1606.02819; Schwartz et al. 2018,
    arXiv:1806.04734). What rendering alone does to a vector is then mixed away with real examples of the class
    (manifold mixup, Verma et al. 2019, arXiv:1806.05236). A head that has seen only variants on their hosts learns the
    hosts and the rendering: it lost on cracks and breaks, which this does not.
    """
    each = max(1, -(-LEAST_ROWS // len(seen.variants)))
    made = np.tile(np.arange(len(seen.variants)), each)
    moved = seen.variants[made]
    if len(seen.others):
        moved = seen.others[rng.integers(0, len(seen.others), len(made))] + (seen.variants - seen.hosts)[made]
    if not len(seen.real):
        return _unit(moved)
    share = rng.beta(EVENNESS, EVENNESS, (len(made), 1)).astype(np.float32)
    return _unit(share * _unit(moved) + (1 - share) * seen.real[rng.integers(0, len(seen.real), len(made))])


def _unit(rows: FloatArray) -> FloatArray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
