"""Places pool images on a 2-D map so that similar ones lie together; what the points mean is the caller's business."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng, derive_seed

PCA_DIMS = 32
PERPLEXITY = 30.0
ITERATIONS = 500
TOO_FEW_FOR_TSNE = 12  # below this a straight projection says as much
SAME_POINT = 1e-6  # share of the unit length; float16 rounding of equal vectors stays below it
PLACE_BLOCK = 4096  # rows placed at once: 4096 x 3000 similarities are 49 MB


def layout_map(
    vectors: FloatArray, *, keep: IntArray, max_points: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return which rows are on the map (p,), ascending, and where (p, 2) float32, 0..1 on both axes.

    vectors: (n, d) unit rows. keep: rows that are always on the map; the others are thinned, each with the same chance,
    until max_points are left. t-SNE (van der Maaten & Hinton 2008) on the leading principal components places at most
    max_points; kept rows beyond that go to the similarity-weighted middle of their nearest placed neighbours, so time
    does not grow with the number of labelled images. Same seed, same machine, same map.
    """
    assert max_points > 0
    kept = np.unique(np.asarray(keep, dtype=np.int64))
    rng = derive_rng(seed, "map")
    others = np.setdiff1d(np.arange(len(vectors)), kept, assume_unique=True)
    n_others = min(len(others), max(0, max_points - len(kept)))
    rows = np.union1d(kept, rng.choice(others, n_others, replace=False)) if n_others else kept
    if len(rows) == 0:
        return rows, np.zeros((0, 2), dtype=np.float32)
    chosen = _unit_rows(vectors, rows)
    if len(rows) <= max_points:
        return rows, _stretch(_embed(chosen, seed))
    anchors = np.sort(rng.choice(len(rows), max_points, replace=False))
    xy = _place_beside(chosen, anchors, _embed(chosen[anchors], seed))
    return rows, _stretch(xy)


def _unit_rows(vectors: FloatArray, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors[rows], dtype=np.float32)


def _embed(vectors: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Place (p, d) points by t-SNE, or by their two principal components where they are few or all alike."""
    components = _principal_components(vectors, PCA_DIMS, derive_seed(seed, "map-pca"))
    spread = float(components[:, 0].std())
    if len(vectors) < TOO_FEW_FOR_TSNE or spread < SAME_POINT:
        return components[:, :2] if spread >= SAME_POINT else np.zeros((len(vectors), 2), dtype=np.float32)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    model = TSNE(
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        init=components[:, :2] / spread * 1e-4,  # sklearn's own init divides by zero where all points are equal
        max_iter=ITERATIONS,
        random_state=derive_seed(seed, "map-tsne") % 2**32,
    )
    with threadpool_limits(1, user_api="openmp"):  # threads add up their partial sums in a changing order
        return np.asarray(model.fit_transform(components), dtype=np.float32)


def _principal_components(vectors: npt.NDArray[np.float32], dims: int, seed: int) -> npt.NDArray[np.float32]:
    """Project (p, d) on its leading directions: (p, at least 2), at most ``dims``; missing directions are zero."""
    from sklearn.decomposition import PCA

    p, d = vectors.shape
    dims = min(dims, p, d)
    spread = float(np.ptp(vectors, axis=0).max(initial=0.0))
    if p < 2 or spread < SAME_POINT:  # PCA would divide by a variance of zero
        return np.zeros((p, 2), dtype=np.float32)
    solver = "randomized" if dims * 2 < min(p, d) else "full"
    found = PCA(n_components=dims, svd_solver=solver, random_state=seed % 2**32).fit_transform(vectors)
    return np.pad(np.asarray(found, dtype=np.float32), ((0, 0), (0, max(0, 2 - dims))))


def _place_beside(
    vectors: npt.NDArray[np.float32], anchors: npt.NDArray[np.int64], anchor_xy: npt.NDArray[np.float32], k: int = 3
) -> npt.NDArray[np.float32]:
    """Return (p, 2): anchors where they are, every other row amid its k most similar anchors."""
    xy = np.empty((len(vectors), 2), dtype=np.float32)
    xy[anchors] = anchor_xy
    others = np.setdiff1d(np.arange(len(vectors)), anchors, assume_unique=True)
    k = min(k, len(anchors))
    for start in range(0, len(others), PLACE_BLOCK):
        block = others[start : start + PLACE_BLOCK]
        similarity = vectors[block] @ vectors[anchors].T  # (block, anchors)
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        distance = np.maximum(1.0 - np.take_along_axis(similarity, nearest, axis=1), 1e-6)
        weight = (1 / distance**2) / (1 / distance**2).sum(axis=1, keepdims=True)
        xy[block] = np.einsum("nk,nkx->nx", weight, anchor_xy[nearest])
    return xy


def _stretch(xy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Fill 0..1 on both axes; an axis without extent lies in the middle."""
    low, extent = xy.min(axis=0), np.ptp(xy, axis=0)
    flat = extent < SAME_POINT
    scaled = (xy - low) / np.where(flat, 1.0, extent)
    return np.where(flat, 0.5, np.clip(scaled, 0.0, 1.0)).astype(np.float32)
