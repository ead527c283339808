"""Strategies that cover the pool: sparse coverage, max-herding, uncertainty herding, facility location, ProbCover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.density import pool_density
from activesel.records import KnnGraph, Picks, Pool
from activesel.strategies.clusters import cluster
from activesel.strategies.greedy import cover
from activesel.strategies.links import Kernel, Links
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally
from activesel.strategies.trust import tempered_margin
from activesel.tensors import Rows

BLOCK_LABELLED = 4096


@strategy("sparse-coverage", needs=("graph",), uses=("probs", "uncertainty"), lead="covers a thinly known region")
def pick_sparse_unsure_coverage(
    pool: Pool,
    budget: float,
    rng: np.random.Generator,
    *,
    bandwidth: float = 0.45,
    temperature: float = 2.5,
    density_power: float = 1.15,
) -> Picks:
    """Cover the space of images, not the majority: unsure and sparsely populated regions first.

    Greedy on sum_i w_i max(k(x, i) - covered_i, 0), k = exp(-|x - y|^2 / bandwidth), with w_i the tempered margin
    uncertainty of i over its local kernel density ** density_power. Dividing by density undoes the pull of
    herding (arXiv:2412.20644) towards good parts, of which a line makes 99 %. Without a model w_i is 1 / density.
    temperature: > 1 flattens over-confident probabilities before the margin is taken.
    """
    graph = _need_graph(pool)
    density = pool_density(pool.vectors, graph, bandwidth, rng, pool.device)
    weight = tempered_margin(pool, temperature) / density**density_power
    links = Links(graph, _gaussian(bandwidth), pool.device)
    return cover(links, weight, pool.labelled, Tally(pool, budget), rng)


@strategy("max-herding", needs=("graph",), lead="covers images that nothing covered yet")
def pick_max_herding(pool: Pool, budget: float, rng: np.random.Generator, *, bandwidth: float = 1.0) -> Picks:
    """Pick the images whose neighbourhoods cover most of the pool, without a model.

    MaxHerding (Bae et al. 2024, arXiv:2407.12212) with the Gaussian kernel exp(-|x - y|^2 / bandwidth^2) on unit
    vectors, over the k nearest neighbours of each image.
    """
    graph = _need_graph(pool)
    links = Links(graph, _gaussian(bandwidth**2), pool.device)
    return cover(links, np.ones(pool.n), pool.labelled, Tally(pool, budget), rng)


@strategy(
    "uncertainty-herding",
    needs=("graph",),
    uses=("probs", "uncertainty"),
    lead="covers unsure images that nothing covered yet",
)
def pick_uncertainty_herding(pool: Pool, budget: float, rng: np.random.Generator, *, temperature: float = 1.0) -> Picks:
    """Pick the images whose neighbourhoods cover most of the pool's uncertainty.

    UHerding (Bae et al. 2025, arXiv:2412.20644): max-herding weighted by 1 - margin; the bandwidth shrinks to the
    smallest distance between labelled images, so that it behaves like margin once labels are dense. Where labelled
    near-duplicates would shrink it to nothing, it stops at the pool's 10 % quantile of nearest-neighbour distances.
    """
    graph = _need_graph(pool)
    bandwidth = _adaptive_bandwidth(pool, graph)
    links = Links(graph, _gaussian(bandwidth**2), pool.device)
    weight = tempered_margin(pool, temperature)
    weight[pool.labelled] = 0.0
    return cover(links, weight, pool.labelled, Tally(pool, budget), rng)


@strategy("facility-location", needs=("graph",), lead="represents images that nothing represented yet")
def pick_facility_location(pool: Pool, budget: float, rng: np.random.Generator) -> Picks:
    """Pick the images that represent the pool best: each image served by its most similar pick.

    Facility location on cosine similarities of the k nearest neighbours, negative ones as 0.
    """
    graph = _need_graph(pool)
    links = Links(graph, lambda cosine: cosine.clamp(min=0.0), pool.device)
    return cover(links, np.ones(pool.n), pool.labelled, Tally(pool, budget), rng)


@strategy("probcover", needs=("graph",), lead="its ball covers images that nothing covered yet")
def pick_probcover(
    pool: Pool, budget: float, rng: np.random.Generator, *, purity: float = 0.95, n_clusters: int | None = None
) -> Picks:
    """Pick the images whose balls of one fixed radius cover the most images.

    ProbCover (Yehuda et al. 2022, arXiv:2205.11320) on the k nearest neighbours. The radius is the largest at which a
    share ``purity`` of the balls holds one pseudo-class only; pseudo-classes are k-means clusters, as many as classes
    are known (or ``n_clusters``, 10 without either).
    """
    graph = _need_graph(pool)
    n_pseudo = n_clusters or (pool.probs.shape[1] if pool.probs is not None else 10)
    threshold = _purity_threshold(graph, cluster(Rows(pool.vectors, pool.device), n_pseudo, rng), purity)
    links = Links(graph, lambda cosine: (cosine >= threshold).float(), pool.device)
    note = f"ball radius {np.sqrt(max(0.0, 2 - 2 * threshold)):.3f}"
    return cover(links, np.ones(pool.n), pool.labelled, Tally(pool, budget), rng, note)


def _need_graph(pool: Pool) -> KnnGraph:
    assert pool.graph is not None, "the registry says that this strategy needs a graph"
    return pool.graph


def _gaussian(scale: float) -> Kernel:
    """cosines of unit rows -> exp(-|x - y|^2 / scale)"""

    def kernel(cosine: torch.Tensor) -> torch.Tensor:
        return torch.exp((2.0 - 2.0 * cosine).clamp_(min=0.0) / -scale)

    return kernel


def _adaptive_bandwidth(pool: Pool, graph: KnnGraph) -> float:
    nearest = np.sqrt(np.maximum(2.0 - 2.0 * graph.similarity[:, 0], 0.0)) if graph.k else np.ones(1)
    floor = max(float(np.quantile(nearest, 0.1)), 1e-3)
    if len(pool.labelled) < 2:
        return 1.0
    return max(floor, float(np.sqrt(2.0 - 2.0 * _largest_cosine(pool))))


def _largest_cosine(pool: Pool) -> float:
    """Return the largest cosine between two labelled rows, in blocks."""
    rows = Rows(pool.vectors, pool.device)
    known = rows.exact(pool.labelled)
    largest = -1.0
    for start in range(0, len(known), BLOCK_LABELLED):
        cosine = known[start : start + BLOCK_LABELLED] @ known.T
        cosine.diagonal(start).fill_(-1.0)
        largest = max(largest, float(cosine.max()))
    return min(largest, 1.0)


def _purity_threshold(graph: KnnGraph, pseudo: npt.NDArray[np.int32], purity: float) -> float:
    """Return the smallest cosine t for which ``purity`` of the rows meet no other pseudo-class at cosine >= t."""
    foreign = (pseudo[graph.neighbours] != pseudo[:, None]) & (graph.neighbours >= 0)
    nearest_foreign = np.where(foreign, graph.similarity, -1.0).max(axis=1, initial=-1.0)
    return float(np.nextafter(np.quantile(nearest_foreign, purity), 2.0))
