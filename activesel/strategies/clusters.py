"""Strategies that go through clusters: TypiClust and cluster-margin; and the clustering they and ProbCover share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from activesel.records import FloatArray, IntArray, Picks, Pool
from activesel.strategies.cost import Cost
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally, fill_at_random
from activesel.tensors import Rows
from activesel.uncertainty import score_margin

MIN_CLUSTER_SIZE = 5  # TypiClust drops clusters that are not larger
EXACT_MEMBERS = 2048  # larger clusters are judged by a sample first
SAMPLED_MEMBERS = 1024
BLOCK_VALUES = 1 << 23  # 32 MB of float32 at a time


@strategy(
    "typiclust", lead="typical of its cluster", in_parts="whole",
    cost=Cost(per_class=0, per_dim=0.5, block=200e6, block_per_dim=8 * 65536, products=2000, row_ns=14_000),
)  # fmt: skip
def pick_typical(
    pool: Pool, budget: float, rng: np.random.Generator, *, max_clusters: int = 500, neighbours: int = 20
) -> Picks:
    """Pick the most typical image of each cluster, clusters without labels and large ones first.

    TypiClust (Hacohen et al. 2022, arXiv:2202.02794): k-means into labelled + budget clusters, at most
    ``max_clusters``; typicality is 1 / (mean distance to the ``neighbours`` nearest images of the cluster). Clusters of
    up to 5 images are left out while others can still give a pick.
    """
    tally = Tally(pool, budget)
    wanted = len(pool.labelled) + int(min(budget, pool.n))
    rows = Rows(pool.vectors, pool.device)
    assigned = cluster(rows, min(max_clusters, wanted), rng)
    typicality = score_typicality(rows, assigned, neighbours, rng)
    n_labelled = np.bincount(assigned[pool.labelled], minlength=assigned.max() + 1)
    queues = _queues(assigned, typicality * tally.rate, tally.open)
    sizes = np.bincount(assigned)
    large = [q for q in queues if sizes[q] > MIN_CLUSTER_SIZE]
    order = sorted(large, key=lambda q: (n_labelled[q], -len(queues[q]), q))
    _round_robin(tally, [queues[q] for q in order], typicality)
    n_random = fill_at_random(tally, rng)
    return tally.picks(*([f"{n_random} picks are random: the clusters were used up"] if n_random else []))


@strategy(
    "cluster-margin", needs=("uncertainty",), lead="two classes are close, in a cluster of its own", in_parts="whole",
    cost=Cost(block=180e6, block_per_dim=16 * 8192, products=200, row_ns=600),
)  # fmt: skip
def pick_cluster_margin(
    pool: Pool, budget: float, rng: np.random.Generator, *, shortlist: float = 10.0, max_clusters: int = 200
) -> Picks:
    """Pick small margins spread over clusters: of the ``shortlist`` x budget smallest margins, one a cluster in turn.

    Cluster-Margin (Citovsky et al. 2021, arXiv:2107.14263): clusters are average-linkage trees of a sample with every
    image joined to the nearest cluster mean; small clusters first. At most half of the candidates are shortlisted.
    """
    assert pool.uncertainty is not None
    tally = Tally(pool, budget)
    margin = pool.uncertainty if pool.probs is None else score_margin(pool.probs)
    open_rows = np.flatnonzero(tally.open)
    size = int(min(len(open_rows), max(1.25 * budget, min(shortlist * budget, len(open_rows) / 2))))
    listed = open_rows[np.argsort(-(margin * tally.rate)[open_rows], kind="stable")[:size]]
    groups = _average_linkage(Rows(pool.vectors, pool.device), min(max_clusters, max(1, size // 2)), rng)[listed]
    queues = [listed[groups == group] for group in np.unique(groups)]
    _round_robin(tally, sorted(queues, key=len), margin)
    rest = open_rows[np.argsort(-(margin * tally.rate)[open_rows], kind="stable")]
    _round_robin(tally, [rest], margin)
    return tally.picks()


def cluster(rows: Rows, n_clusters: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Assign each row to one of at most ``n_clusters`` k-means clusters, (n,) int32; bounded memory, seeded by rng."""
    from sklearn.cluster import MiniBatchKMeans

    n = len(rows)
    if n_clusters >= n:
        return np.arange(n, dtype=np.int32)
    sample = np.sort(rng.choice(n, size=min(n, max(256 * n_clusters, 4096), 65536), replace=False))
    fitted = MiniBatchKMeans(
        n_clusters, batch_size=max(4096, 2 * n_clusters), n_init=1, max_iter=20, init="random",
        random_state=int(rng.integers(2**31)), compute_labels=False, reassignment_ratio=0.01,
    )  # fmt: skip
    fitted.fit(rows.exact(sample).cpu().numpy())
    return assign_nearest(rows, np.asarray(fitted.cluster_centers_, dtype=np.float32))


def assign_nearest(rows: Rows, centres: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Return the nearest centre of each row by Euclidean distance, (n,) int32, block by block."""
    means = torch.from_numpy(centres).to(rows.device)
    half_norms = 0.5 * means.square().sum(dim=1)
    assigned = np.empty(len(rows), dtype=np.int32)
    for block in rows.blocks(8192):
        assigned[block] = (rows.exact(block) @ means.T).sub_(half_norms).argmax(dim=1).cpu().numpy()
    return assigned


def score_typicality(
    rows: Rows, assigned: IntArray, neighbours: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return 1 / (mean distance to the nearest members of the own cluster), (n,), higher = more typical.

    Exact in clusters of up to EXACT_MEMBERS. In a larger one every row gets a lower bound, from a sample of the
    members, and the rows with the highest bounds their exact value: those that can be picked at all.
    """
    typicality = np.zeros(len(assigned))
    order = np.argsort(assigned, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(assigned[order])) + 1):
        if len(members) <= EXACT_MEMBERS:
            typicality[members] = _typicality(rows, members, members, min(neighbours, len(members) // 2))
            continue
        sample = np.sort(rng.choice(members, SAMPLED_MEMBERS, replace=False))
        typicality[members] = _typicality(rows, members, sample, neighbours)
        best = np.sort(members[np.argsort(-typicality[members], kind="stable")[:SAMPLED_MEMBERS]])
        typicality[best] = _typicality(rows, best, members, neighbours)
    return typicality


def _typicality(rows: Rows, some: IntArray, members: IntArray, k: int) -> npt.NDArray[np.float32]:
    """1 / (mean distance of ``some`` rows to their k nearest among ``members``, themselves left out)."""
    if k == 0:
        return np.zeros(len(some), dtype=np.float32)
    others = rows.exact(members)
    typicality = np.empty(len(some), dtype=np.float32)
    step = max(1, BLOCK_VALUES // len(members))
    for start in range(0, len(some), step):
        here = some[start : start + step]
        cosine = rows.exact(here) @ others.T
        at = np.searchsorted(members, here).clip(max=len(members) - 1)
        own = np.flatnonzero(members[at] == here)
        cosine[torch.from_numpy(own), torch.from_numpy(at[own])] = -2.0
        nearest = (2.0 - 2.0 * cosine.topk(k, dim=1, sorted=False).values).clamp_(min=0.0).sqrt_()
        typicality[start : start + step] = 1.0 / (nearest.mean(dim=1).cpu().numpy() + 1e-5)
    return typicality


def _queues(assigned: IntArray, score: FloatArray, open_rows: npt.NDArray[np.bool_]) -> dict[int, IntArray]:
    """Per cluster its open rows, best first."""
    rows = np.flatnonzero(open_rows)
    rows = rows[np.lexsort((rows, -score[rows], assigned[rows]))]
    parts = np.split(rows, np.flatnonzero(np.diff(assigned[rows])) + 1)
    return {int(assigned[part[0]]): part for part in parts if len(part)}


def _round_robin(tally: Tally, queues: list[IntArray], gain: FloatArray) -> None:
    """Take one open row of each queue in turn until the budget or the queues end."""
    waiting = [iter(queue) for queue in queues]
    while waiting and not tally.full:
        still = []
        for queue in waiting:
            row = next((int(r) for r in queue if tally.open[r]), None)
            if row is None:
                continue
            tally.take(row, float(gain[row]))
            still.append(queue)
            if tally.full:
                break
        waiting = still


def _average_linkage(rows: Rows, n_clusters: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Average-linkage clusters of a sample of up to 2,000 rows; every row joins the nearest cluster mean."""
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(rows)
    if n < 2 or n_clusters < 2:
        return np.zeros(n, dtype=np.int32)
    sample = np.sort(rng.choice(n, size=min(n, 2000), replace=False))
    drawn = rows.exact(sample).cpu().numpy()
    tree = linkage(drawn, method="average")
    flat = fcluster(tree, t=n_clusters, criterion="maxclust") - 1
    centres = np.stack([drawn[flat == part].mean(axis=0) for part in range(flat.max() + 1)])
    return assign_nearest(rows, centres)
