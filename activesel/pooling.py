"""Whether the agreement of several batches may be judged together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.agreement import draw_kappa

SURELY = 0.05  # below this chance that alike kappas lie so far apart, they differ
WORSE = 0.1  # below this chance to be no worse than the earlier ones a batch is judged alone


@dataclass(frozen=True)
class Likeness:
    """chance: that equal kappas differ as much as these. no_worse: that the newest one is no lower than that of the
    others together. Both 0..1."""

    chance: float
    no_worse: float

    @property
    def may_pool(self) -> bool:
        return self.chance >= SURELY and self.no_worse >= WORSE


def compare_rounds(
    own: npt.NDArray[Any], earlier: Sequence[npt.NDArray[Any]], rng: np.random.Generator
) -> Likeness:  # fmt: skip
    """Compare the (c, c) table of the newest batch with those of earlier ones.

    Of few pairs nothing differs surely: that batches may be pooled does not say that they are alike. So the newest is
    asked more sharply whether it is worse, the direction in which pooling would pass what it should not.
    """
    draws = draw_kappa(own, rng)
    together = draw_kappa(np.sum(earlier, axis=0), rng)
    return Likeness(compare_kappas([own, *earlier], rng), float((draws >= together).mean()))


def compare_kappas(tables: Sequence[npt.NDArray[Any]], rng: np.random.Generator) -> float:
    """Return the chance that (c, c) tables of equal kappas differ as much as these, 0..1: Cochran's Q (1954).

    Each kappa is the mean of its posterior and weighs by the inverse of its variance.
    """
    from scipy.special import chdtrc

    assert len(tables) > 1
    draws = [draw_kappa(one, rng) for one in tables]
    means = np.array([one.mean() for one in draws])
    weights = 1 / np.maximum([one.var() for one in draws], 1e-12)
    spread = float((weights * (means - np.average(means, weights=weights)) ** 2).sum())
    return float(chdtrc(len(tables) - 1, spread))
