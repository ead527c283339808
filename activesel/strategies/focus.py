"""Mine the pool for a rare class: what sets a few examples of it apart from everything usual."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from activesel.records import IntArray, Picks, Pool
from activesel.strategies.cost import Cost
from activesel.strategies.registry import strategy
from activesel.strategies.tally import pick_in_order
from activesel.tensors import Rows

MOST_EXEMPLARS = 1024
MOST_COUNTEREXAMPLES = 256  # those most like an exemplar; an ordinary good part says nothing new
TINY = 1e-12
EXPONENT = 700.0  # the largest whose exponential is a double


@strategy(
    "focus", needs=("exemplars",), uses=("counterexamples",), lead="unlike the rest in the way the exemplars are",
    in_parts="whole",
    cost=Cost(row=24, per_class=0, block=120e6, block_per_dim=32e3, products="exemplars", row_ns=600),
)  # fmt: skip
def pick_focused(
    pool: Pool, budget: float, rng: np.random.Generator, *, shrinkage: float = 1.0, caution: float = 0.3
) -> Picks:
    """Pick what differs from the pool's usual images in the way an exemplar does.

    A linear discriminant per exemplar e (exemplar-LDA, Hariharan, Malik & Ramanan 2012, ECCV): direction
    (S + shrinkage tr(S) / d I)^-1 (e - mean), with mean and covariance S of the pool, scaled so that projections z
    on it have deviation 1 over the pool. Score: log mean exp z over the exemplars, so that each kind of them counts,
    less ``caution`` times the same over the labelled images of other classes that look most like one. What all images
    share, most of a cosine, drops out. gain: exp(score). Time O(n d (d + q)), memory O(n + d^2).
    """
    assert pool.exemplars is not None
    exemplars = np.asarray(pool.exemplars, np.float32)
    if len(exemplars) > MOST_EXEMPLARS:
        exemplars = exemplars[np.sort(rng.choice(len(exemplars), MOST_EXEMPLARS, replace=False))]
    rows = Rows(pool.vectors, pool.device)
    usual = _fit_usual(rows, shrinkage)
    wanted = usual.directions(torch.from_numpy(exemplars).to(rows.device))
    unwanted = None
    if pool.counterexamples is not None and len(pool.counterexamples) and caution:
        unwanted = usual.directions(rows.exact(_most_like(rows, usual, wanted, pool.counterexamples)))
    score = np.empty(pool.n, np.float64)
    for block in rows.blocks():
        offset = rows.exact(block) - usual.mean
        found = _log_mean_exp(offset, wanted)
        if unwanted is not None:
            found = found - caution * _log_mean_exp(offset, unwanted)
        score[block] = found.cpu().numpy()
    return pick_in_order(pool, budget, np.exp(np.clip(score, -EXPONENT, EXPONENT)))


@dataclass(frozen=True)
class _Usual:
    """What the pool is like. mean: (d,). covariance: (d, d). inverse: of the covariance after shrinkage."""

    mean: torch.Tensor
    covariance: torch.Tensor
    inverse: torch.Tensor

    def directions(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return (q, d): one discriminant for each of ``vectors`` (q, d), of deviation 1 over the pool."""
        raw = (vectors - self.mean) @ self.inverse
        variance = ((raw @ self.covariance) * raw).sum(dim=1, keepdim=True)
        return raw / variance.clamp_(min=TINY).sqrt()


def _fit_usual(rows: Rows, shrinkage: float) -> _Usual:
    """Two passes: the mean, then the covariance around it, so that nothing cancels in float32."""
    mean = torch.zeros(rows.d, device=rows.device)
    covariance = torch.zeros((rows.d, rows.d), device=rows.device)
    for block in rows.blocks():
        mean += rows.exact(block).sum(dim=0) / len(rows)
    for block in rows.blocks():
        offset = rows.exact(block) - mean
        covariance += offset.T @ offset / len(rows)
    ridge = max(shrinkage * float(covariance.trace()) / rows.d, TINY)
    return _Usual(mean, covariance, torch.linalg.inv(covariance + ridge * torch.eye(rows.d, device=rows.device)))


def _most_like(rows: Rows, usual: _Usual, wanted: torch.Tensor, among: IntArray) -> IntArray:
    """Return the rows of ``among`` with the highest scores, at most ``MOST_COUNTEREXAMPLES``, equal ones by number."""
    among = np.sort(among)
    score = _log_mean_exp(rows.exact(among) - usual.mean, wanted).cpu().numpy()
    return np.asarray(among[np.argsort(-score, kind="stable")[:MOST_COUNTEREXAMPLES]])


def _log_mean_exp(offset: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(offset @ directions.T, dim=1) - math.log(len(directions))
