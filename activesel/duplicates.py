"""Group images that show the same view, from the kNN graph; groups cap picks now and keep splits leak-free later."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import IntArray, KnnGraph

ROUNDING = 1e-6  # equal float32 vectors reach a cosine of 0.9999999 only


def group_near_duplicates(graph: KnnGraph, similarity: float) -> npt.NDArray[np.int32]:
    """Return (n,) group numbers, numbered by first member; images without a near-duplicate are groups of one.

    Images at least ``similarity`` alike (cosine) are linked. Groups are the connected components, but a chain of small
    steps (a slowly drifting camera) must not make one group of a pool: every member has cosine >= similarity to its
    group's centre, the image with the most links, and a component that breaks this is split around several centres.
    Paths of several links count where their angles add up to no more than that, so a burst of 500 nearly equal frames
    is one group although each lists 32 neighbours only. Time and memory O(links).
    """
    if not 0 < similarity <= 1:
        raise DataError("similarity must be above 0 and at most 1", found=str(similarity))
    from scipy.sparse.csgraph import connected_components

    links = link_near_duplicates(graph, similarity)
    n_components, component = connected_components(links, directed=False)
    n_links = np.diff(links.indptr)
    sizes = np.bincount(component, minlength=n_components)
    most_links = np.zeros(n_components, np.int64)
    np.maximum.at(most_links, component, n_links)
    # Where one image is linked to all others it is a fit centre, and the component stays whole.
    too_wide = most_links < sizes - 1
    groups = component.astype(np.int64)
    rows = np.flatnonzero(too_wide[component])
    groups[rows] = n_components + _split_around_centres(links, n_links, rows, similarity)[rows]
    return _number_by_first_member(groups)


def link_near_duplicates(graph: KnnGraph, similarity: float) -> Any:
    """Return an (n, n) symmetric CSR matrix of the angles between linked images, in radians."""
    from scipy.sparse import coo_matrix

    n = len(graph.neighbours)
    near = (graph.neighbours >= 0) & (graph.similarity >= similarity - ROUNDING)
    left = np.repeat(np.arange(n, dtype=np.int32), near.sum(axis=1))
    right = graph.neighbours[near]
    # Stored angles stay above 0: a sparse matrix would drop the link between two equal images.
    angle = np.maximum(np.arccos(np.clip(graph.similarity[near], -1, 1)), 1e-6)
    one_way = coo_matrix((angle, (left, right)), shape=(n, n)).tocsr()
    return one_way.maximum(one_way.T)


def _split_around_centres(links: Any, n_links: IntArray, rows: IntArray, least: float) -> npt.NDArray[np.int64]:
    """Return (n,) the centre of each of ``rows``, -1 elsewhere: most links first, each takes what is near and free."""
    centre_of = np.full(len(n_links), -1, np.int64)
    path = np.full(len(n_links), np.inf, np.float32)  # scratch: angle from the centre at hand
    limit = float(np.arccos(np.clip(least - ROUNDING, -1, 1)))
    for centre in rows[np.lexsort((rows, -n_links[rows]))]:
        if centre_of[centre] < 0:
            members = _reach(links, int(centre), centre_of, path, limit)
            centre_of[members] = centre
            path[members] = np.inf
    return centre_of


def _reach(links: Any, centre: int, centre_of: IntArray, path: npt.NDArray[np.float32], limit: float) -> IntArray:
    """Return the free images whose links from ``centre`` add up to an angle of at most ``limit``, itself included."""
    path[centre] = 0
    frontier = np.array([centre])
    reached = [frontier]
    while len(frontier):
        starts, counts = links.indptr[frontier], links.indptr[frontier + 1] - links.indptr[frontier]
        at = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        target = links.indices[at]
        angle = np.repeat(path[frontier], counts) + links.data[at]
        closer = (angle <= limit) & (angle < path[target]) & (centre_of[target] < 0)
        np.minimum.at(path, target[closer], angle[closer])
        frontier = np.unique(target[closer])
        reached.append(frontier)
    return np.unique(np.concatenate(reached))


def _number_by_first_member(groups: IntArray) -> npt.NDArray[np.int32]:
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
