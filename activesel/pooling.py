"""Whether the agreement of several batches may be judged together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.agreement import draw_kappa

SURELY = 0.05  # below this chance that alike kappas lie so far apart, they differ


def compare_kappas(tables: Sequence[npt.NDArray[Any]], rng: np.random.Generator) -> float:
    """Return the chance that (c, c) tables of equal kappas differ as much as these, 0..1: Cochran's Q (1954).

    Each kappa is the mean of its posterior and weighs by the inverse of its variance. Of few pairs nothing differs
    surely: that batches may be pooled does not say that they are alike.
    """
    from scipy.special import chdtrc

    assert len(tables) > 1
    draws = [draw_kappa(one, rng) for one in tables]
    means = np.array([one.mean() for one in draws])
    weights = 1 / np.maximum([one.var() for one in draws], 1e-12)
    spread = float((weights * (means - np.average(means, weights=weights)) ** 2).sum())
    return float(chdtrc(len(tables) - 1, spread))
