"""Strategies that rank images one by one: random, the three uncertainty scores, and power-BALD."""

from __future__ import annotations

import numpy as np

from activesel.records import Picks, Pool
from activesel.strategies.registry import strategy
from activesel.strategies.tally import pick_in_order
from activesel.uncertainty import score_entropy, score_least_confidence, score_margin


@strategy("random", lead="random draw")
def pick_at_random(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick uniformly at random: the baseline that every other strategy has to beat."""
    score = rng.random(pool.n)
    return pick_in_order(pool, budget, score)


@strategy("margin", needs=("uncertainty",), lead="two classes are close")
def pick_smallest_margin(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """Pick where the two likeliest classes are closest (Scheffer et al. 2001)."""
    assert pool.uncertainty is not None
    return pick_in_order(pool, budget, pool.uncertainty if pool.probs is None else score_margin(pool.probs))


@strategy("entropy", needs=("probs",), lead="its class probabilities are spread out")
def pick_highest_entropy(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """Pick where the class probabilities are most spread out (Shannon entropy)."""
    assert pool.probs is not None
    return pick_in_order(pool, budget, score_entropy(pool.probs))


@strategy("least-confidence", needs=("probs",), lead="even its likeliest class is unlikely")
def pick_least_confident(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:  # noqa: ARG001
    """Pick where the likeliest class is least likely (Lewis & Gale 1994)."""
    assert pool.probs is not None
    return pick_in_order(pool, budget, score_least_confidence(pool.probs))


@strategy("power-bald", needs=("mutual_information",), lead="models disagree about it", in_parts="whole")
def pick_power_bald(pool: Pool, budget: float, rng: np.random.Generator, *, power: float = 1.0) -> Picks:
    """Draw images in proportion to (model disagreement) ** power, without replacement.

    PowerBALD (Kirsch et al. 2023, arXiv:2106.12059): the top of log BALD + Gumbel noise of scale 1 / power. The noise
    spreads a batch that plain BALD would spend on near-identical images. O(n).
    """
    assert pool.mutual_information is not None
    disagreement = np.maximum(pool.mutual_information.astype(np.float64), 1e-12)
    score = np.log(disagreement) + rng.gumbel(size=pool.n) / power
    # Shift so that scores are positive and the cost factor keeps its direction.
    return pick_in_order(pool, budget, score - score.min())
