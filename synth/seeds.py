"""One generator per proposal, whatever the worker or the order."""

from __future__ import annotations

import numpy as np


def proposal_rng(seed: int, number: int) -> np.random.Generator:
    """Return the generator of proposal ``number`` of a run; it depends on these two and nothing else.

    >>> bool(proposal_rng(7, 3).random() == proposal_rng(7, 3).random())
    True
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))
