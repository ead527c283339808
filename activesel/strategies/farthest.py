"""Pick the image farthest from everything known or picked: the default, and k-center, plain or weighted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from activesel.density import REFERENCE_ROWS, sample_density
from activesel.journal import State
from activesel.records import IntArray, Picks, Pool
from activesel.strategies.cost import Cost
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally
from activesel.strategies.trust import tempered_margin
from activesel.tensors import Rows, rough_error

ROUGH_ROWS = {"cpu": 16384, "cuda": 1 << 18}  # rows with the largest bounds, loaded at a time: 8 MB, 128 MB at d = 256
EXACT_ROWS = {"cpu": 1024, "cuda": 1024}  # of them, rows whose distances to each other are known: 4 MB
BLOCK_ROWS = {"cpu": 1024, "cuda": 1 << 18}  # of one product with
BLOCK_CENTRES = {"cpu": 1024, "cuda": 4096}  # centres: 4 MB, what the caches hold; 2 GB
LAZY = Cost(
    per_class=0, block=200e6, block_per_dim=4 * (ROUGH_ROWS["cpu"] + BLOCK_CENTRES["cpu"]), products=200, pick_us=300
)
TEMPERED = replace(LAZY, per_class=8, products=200 + REFERENCE_ROWS)
LEAST_WEIGHT = 1e-6  # of an image that the model is sure of: it may still be picked, last


@strategy(
    "default", uses=("probs", "uncertainty"), lead="unlike every known image, where the model is unsure",
    in_parts="offers", cost=TEMPERED,
)  # fmt: skip
def pick_unsure_and_far(
    pool: Pool,
    budget: float,
    rng: np.random.Generator,
    *,
    temperature: float = 2.0,
    trust: float = 2.0,
    density_power: float = 0.25,
    bandwidth: float = 0.45,
) -> Picks:
    """Pick images unlike every known one, unsure ones first, odd ones out last.

    Greedy k-center whose distances are multiplied by u ** trust * density ** density_power. u is 1 - margin of the
    probabilities at ``temperature``, 1 without a model; density the share of the pool within about ``bandwidth``
    (mean of exp(-|x - y|^2 / bandwidth)), so that a freak image does not come before a whole group of unknown ones.
    Distance keeps a batch diverse and away from what is labelled. The exponents were chosen on other seeds than
    docs/label_efficiency.md reports; near them little changes, and what else was tried is no better
    (docs/default_variants.md).
    """
    unsure = np.maximum(tempered_margin(pool, temperature), LEAST_WEIGHT)
    rows = Rows(pool.vectors, pool.device)
    density = sample_density(rows, bandwidth, rng, reference=pool.reference)
    weight = np.asarray(unsure**trust * density**density_power, dtype=np.float32)
    return _farthest_first(pool, budget, rng, weight, rows)


@strategy("k-center", lead="far from every known image", in_parts="offers", cost=LAZY)
def pick_farthest(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick the image farthest from all labelled and picked ones, again and again.

    Greedy k-center (Gonzalez 1985; Sener & Savarese 2018, arXiv:1708.00489): the largest remaining distance is at most
    twice the smallest possible. Exact greedy; time far below O((m + b) n d) thanks to lazy bounds, memory O(n).
    """
    return _farthest_first(pool, budget, rng, np.ones(pool.n, dtype=np.float32), Rows(pool.vectors, pool.device))


@strategy(
    "weighted-k-center", uses=("uncertainty",), lead="far from every known image, and unsure", in_parts="offers",
    cost=LAZY,
)  # fmt: skip
def pick_farthest_unsure(pool: Pool, budget: float, rng: np.random.Generator, *, trust: float = 1.0) -> Picks:
    """Pick images far from everything known, unsure ones first.

    Distances are multiplied by uncertainty ** trust (after Ramalingam et al. 2023, arXiv:2312.10602).
    trust: 0 ignores the model, 1 believes it fully.
    """
    weight = np.ones(pool.n) if pool.uncertainty is None else np.maximum(pool.uncertainty, 1e-6) ** trust
    rows = Rows(pool.vectors, pool.device)
    return _farthest_first(pool, budget, rng, np.asarray(weight, dtype=np.float32), rows)


def _farthest_first(
    pool: Pool, budget: float, rng: np.random.Generator, weight: npt.NDArray[np.float32], rows: Rows
) -> Picks:
    """Exact greedy with lazy bounds: a distance computed once can only shrink, so an old one is an upper bound.

    Three tiers. All rows have a bound. The rows with the largest bounds are caught up with all centres in one rough
    product. The best of those get exact distances, also to each other, and picks are made among them while their best
    certainly beats every bound below: no product at all per pick.
    """
    tally = Tally(pool, budget)
    weight = weight * tally.rate
    reach = _Reach(rows, pool.labelled)
    state = tally.resume()
    if state is not None:
        reach.restore(state, tally.rows)
    elif len(pool.labelled):
        reach.meet_labelled()
    elif not tally.full:
        first = _first_row(tally, weight, rng)
        tally.take(first, float("inf"))
        reach.add_centres(tally.rows)
    factor = torch.from_numpy(weight).to(reach.device)
    while not tally.full:
        tally.checkpoint(reach.state)
        _pick_from_top(tally, reach, factor)
    return tally.picks()


def _first_row(tally: Tally, weight: npt.NDArray[np.float32], rng: np.random.Generator) -> int:
    """Nothing is known yet: any row among the heaviest."""
    heaviest = weight[tally.open].max()
    return int(rng.choice(np.flatnonzero(tally.open & (weight >= heaviest))))


def _pick_from_top(tally: Tally, reach: _Reach, factor: torch.Tensor) -> None:
    """Catch up the rows with the largest bounds, and pick among them until a row outside might be farther."""
    is_open = torch.from_numpy(tally.open).to(reach.device)
    top, outside = _split_top(torch.where(is_open, factor * reach.bound, -1.0), ROUGH_ROWS[reach.device.type])
    rough = reach.rows.rough(top)
    while not tally.full:
        reach.catch_up_roughly(top, rough)
        is_open = torch.from_numpy(tally.open).to(reach.device)[top]
        best, rest = _split_top(
            torch.where(is_open, factor[top] * reach.bound[top], -1.0), EXACT_ROWS[reach.device.type]
        )
        n_before = len(tally)
        _pick_exactly(tally, reach, factor, top[best], max(rest, outside))
        if len(tally) == n_before and rest <= outside:
            return


def _pick_exactly(tally: Tally, reach: _Reach, factor: torch.Tensor, active: torch.Tensor, outside: float) -> None:
    """Make the distances of ``active`` rows exact and pick while their best is at least ``outside``."""
    distance, between = reach.catch_up_exactly(active)
    rows, weight = active.cpu().numpy(), factor[active].cpu().numpy()
    alive = tally.open[rows]
    picked: list[int] = []
    while not tally.full:
        score = np.where(alive, weight * distance, -1.0)
        best = int(score.argmax())
        if score[best] < outside or not alive[best]:
            break
        closed = tally.take(int(rows[best]), float(score[best] / tally.rate[rows[best]]))
        picked.append(int(rows[best]))
        np.minimum(distance, between[best], out=distance)
        alive[best] = False
        if len(closed) > 1:
            alive = tally.open[rows]
    reach.add_centres(np.array(picked, dtype=np.int64))
    reach.settle(active, torch.from_numpy(distance))


def _split_top(score: torch.Tensor, size: int) -> tuple[torch.Tensor, float]:
    """Return the positions of the ``size`` largest scores, ascending, and the largest score among the others."""
    if len(score) <= size:
        return torch.arange(len(score), device=score.device), -1.0
    values, order = torch.topk(score, size + 1)
    return order[:-1].sort().values, float(values[-1])


class _Reach:
    """What is known of each row's distance to its nearest centre, labelled or picked.

    bound: (n,) never below the true distance; it has met the first ``met`` centres, roughly or exactly.
    exact: (n,) the true distance to the first ``met_exactly`` centres.
    """

    def __init__(self, rows: Rows, labelled: IntArray) -> None:
        self.rows, self.device = rows, rows.device
        self._vectors = rows.exact(labelled)
        self.bound = torch.full((len(rows),), 2.0, device=self.device)  # the diameter of the unit sphere
        self._exact = self.bound.clone()
        self._met = torch.zeros(len(rows), dtype=torch.int32, device=self.device)
        self._met_exactly = torch.zeros_like(self._met)

    def meet_labelled(self) -> None:
        for block in self.rows.blocks():
            every = torch.arange(block.start, block.stop, device=self.device)
            self.catch_up_roughly(every, self.rows.rough(block))

    def state(self) -> State:
        kept = {"bound": self.bound, "exact": self._exact, "met": self._met, "met_exactly": self._met_exactly}
        return {name: values.cpu().numpy() for name, values in kept.items()}

    def restore(self, state: State, picked: IntArray) -> None:
        kept = (torch.tensor(state[name], device=self.device) for name in ("bound", "exact", "met", "met_exactly"))
        self.bound, self._exact, self._met, self._met_exactly = kept
        self.add_centres(picked)

    def add_centres(self, rows: IntArray) -> None:
        self._vectors = torch.cat((self._vectors, self.rows.exact(rows)))

    def catch_up_roughly(self, rows: torch.Tensor, rough: torch.Tensor) -> None:
        """Lower the bounds of ``rows``, whose vectors are ``rough``, by the centres that they have not met."""
        met = self._met[rows]
        centres = self._vectors[int(met.min()) :].to(rough.dtype)
        n_met = len(self._vectors) - len(centres)
        # Those that have met as many are taken together, so that none meets a centre twice for another's sake.
        for some in torch.split(met.argsort(stable=True), BLOCK_ROWS[self.device.type]):
            pending = centres[int(met[some[0]]) - n_met :]
            if len(pending):
                largest = _largest_product(rough[some], pending).float()
                farthest = _distance(largest - rough_error(rough.dtype))
                self.bound[rows[some]] = torch.minimum(self.bound[rows[some]], farthest)
        self._met[rows] = len(self._vectors)

    def catch_up_exactly(self, rows: torch.Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the distances of ``rows`` to their nearest centres (r,) and to each other (r, r)."""
        vectors = self.rows.exact(rows)
        pending = self._vectors[int(self._met_exactly[rows].min()) :]
        distance = self._exact[rows]
        if len(pending):
            distance = torch.minimum(distance, _distance(_largest_product(vectors, pending)))
        return distance.cpu().numpy(), _distance(vectors @ vectors.T).cpu().numpy()

    def settle(self, rows: torch.Tensor, distance: torch.Tensor) -> None:
        """Store exact distances of ``rows`` to all centres so far."""
        self.bound[rows] = self._exact[rows] = distance.to(self.device)
        self._met[rows] = self._met_exactly[rows] = len(self._vectors)


def _largest_product(rows: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return each row's largest product with a centre, (r,), centres in blocks."""
    blocks = torch.split(centres, BLOCK_CENTRES[rows.device.type])
    largest = [(rows @ chunk.T).amax(dim=1) for chunk in blocks]
    return torch.stack(largest).amax(dim=0)


def _distance(cosine: torch.Tensor) -> torch.Tensor:
    """Turn cosines of unit rows into Euclidean distances."""
    return (2.0 - 2.0 * cosine).clamp_(min=0.0).sqrt_()
