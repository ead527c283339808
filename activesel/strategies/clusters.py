"""Strategies that go through clusters: TypiClust and cluster-margin; and the clustering they and ProbCover share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray, Picks, Pool
from activesel.strategies.registry import strategy
from activesel.strategies.tally import Tally, fill_at_random
from activesel.uncertainty import score_margin

MIN_CLUSTER_SIZE = 5  # TypiClust drops clusters that are not larger


@strategy("typiclust", lead="typical of its cluster")
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
    assigned = cluster(pool.vectors, min(max_clusters, wanted), rng)
    typicality = _typicality(pool.vectors, assigned, neighbours)
    n_labelled = np.bincount(assigned[pool.labelled], minlength=assigned.max() + 1)
    queues = _queues(assigned, typicality * tally.rate, tally.open)
    large = [q for q in queues if np.count_nonzero(assigned == q) > MIN_CLUSTER_SIZE]
    order = sorted(large, key=lambda q: (n_labelled[q], -len(queues[q]), q))
    _round_robin(tally, [queues[q] for q in order], typicality)
    n_random = fill_at_random(tally, rng)
    return tally.picks(*([f"{n_random} picks are random: the clusters were used up"] if n_random else []))


@strategy("cluster-margin", needs=("uncertainty",), lead="two classes are close, in a cluster of its own")
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
    groups = _average_linkage(pool.vectors, min(max_clusters, max(1, size // 2)), rng)[listed]
    queues = [listed[groups == group] for group in np.unique(groups)]
    _round_robin(tally, sorted(queues, key=len), margin)
    rest = open_rows[np.argsort(-(margin * tally.rate)[open_rows], kind="stable")]
    _round_robin(tally, [rest], margin)
    return tally.picks()


def cluster(vectors: FloatArray, n_clusters: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Assign each row to one of at most ``n_clusters`` k-means clusters, (n,) int32; bounded memory, seeded by rng."""
    from sklearn.cluster import MiniBatchKMeans

    n = len(vectors)
    if n_clusters >= n:
        return np.arange(n, dtype=np.int32)
    sample = np.sort(rng.choice(n, size=min(n, max(256 * n_clusters, 4096), 65536), replace=False))
    fitted = MiniBatchKMeans(
        n_clusters, batch_size=max(4096, 2 * n_clusters), n_init=1, max_iter=20, init="random",
        random_state=int(rng.integers(2**31)), compute_labels=False, reassignment_ratio=0.01,
    )  # fmt: skip
    fitted.fit(np.asarray(vectors[sample], dtype=np.float32))
    return assign_nearest(vectors, np.asarray(fitted.cluster_centers_, dtype=np.float32))


def assign_nearest(vectors: FloatArray, centres: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Return the nearest centre of each row by Euclidean distance, (n,) int32, block by block."""
    half_norms = 0.5 * (centres**2).sum(axis=1)
    assigned = np.empty(len(vectors), dtype=np.int32)
    for start in range(0, len(vectors), 8192):
        block = np.asarray(vectors[start : start + 8192], dtype=np.float32)
        assigned[start : start + len(block)] = (block @ centres.T - half_norms).argmax(axis=1)
    return assigned


def _typicality(vectors: FloatArray, assigned: IntArray, neighbours: int) -> npt.NDArray[np.float64]:
    """1 / (mean distance to the nearest members of the own cluster), (n,), higher = more typical."""
    typicality = np.zeros(len(assigned))
    order = np.argsort(assigned, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(assigned[order])) + 1):
        k = min(neighbours, len(members) // 2)
        if k == 0:
            continue
        for block in np.array_split(members, len(members) // 4096 + 1):
            distance = _distances(vectors[block], vectors[members])
            nearest = np.partition(distance, k, axis=1)[:, 1 : k + 1]  # column 0 is the row itself
            typicality[block] = 1.0 / (nearest.mean(axis=1) + 1e-5)
    return typicality


def _distances(left: FloatArray, right: FloatArray) -> npt.NDArray[np.float32]:
    product = np.asarray(left, dtype=np.float32) @ np.asarray(right, dtype=np.float32).T
    return np.asarray(np.sqrt(np.maximum(2.0 - 2.0 * product, 0.0)), dtype=np.float32)


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


def _average_linkage(vectors: FloatArray, n_clusters: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Average-linkage clusters of a sample of up to 2,000 rows; every row joins the nearest cluster mean."""
    from scipy.cluster.hierarchy import fcluster, linkage

    n = len(vectors)
    if n < 2 or n_clusters < 2:
        return np.zeros(n, dtype=np.int32)
    sample = np.sort(rng.choice(n, size=min(n, 2000), replace=False))
    rows = np.asarray(vectors[sample], dtype=np.float32)
    tree = linkage(rows, method="average")
    flat = fcluster(tree, t=n_clusters, criterion="maxclust") - 1
    centres = np.stack([rows[flat == part].mean(axis=0) for part in range(flat.max() + 1)])
    return assign_nearest(vectors, centres)
