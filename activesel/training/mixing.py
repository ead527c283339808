"""From a few variants to many examples, in vector space: what made each one different, seen on other images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.records import FloatArray

LEAST_ROWS = 600  # mixed examples; fewer, and chance decides
CHANGES = 4  # variants whose changes are averaged into one: what they do not share is mostly the rendering
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
    """Return (m, d) unit rows, m = 600 or as many as there are variants if they are more, new examples of the class.

    A variant less its host is what the defect does to a vector, free of the host; the mean of some, added to another
    host's vector, is that defect there (feature transfer, Hariharan & Girshick 2017, arXiv:1606.02819; Schwartz et al.
    2018, arXiv:1806.04734). The rest of what rendering does is mixed away with real examples of the class (manifold
    mixup, Verma et al. 2019, arXiv:1806.05236). A head that sees variants as they are learns their hosts and the
    rendering: docs/synthesis_measured.md has both.
    """
    n_variants = len(seen.variants)
    n = max(LEAST_ROWS, n_variants)
    changes = seen.variants - seen.hosts
    # Each variant as often as any other, to one.
    first = np.resize(np.arange(n_variants), n)
    made = np.column_stack([first, rng.integers(0, n_variants, (n, CHANGES - 1))])
    others = seen.others if len(seen.others) else seen.hosts
    moved = _unit(others[rng.integers(0, len(others), n)] + changes[made].mean(axis=1))
    if not len(seen.real):
        return moved
    share = rng.beta(EVENNESS, EVENNESS, (n, 1)).astype(np.float32)
    return _unit(share * moved + (1 - share) * seen.real[rng.integers(0, len(seen.real), n)])


def _unit(rows: FloatArray) -> FloatArray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
