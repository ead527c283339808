"""How crowded the pool is around each image, from the kNN graph and a reference sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import FloatArray, IntArray, KnnGraph
from activesel.tensors import Rows

REFERENCE_ROWS = 2048
BLOCK_ROWS = 8192
PRODUCT_ROWS = {"cpu": 1024, "cuda": 65536}  # x REFERENCE_ROWS products: 8 MB, what the caches hold; 0.5 GB


def score_density(graph: KnnGraph) -> npt.NDArray[np.float32]:
    """Return (1 + mean cosine to the neighbours) / 2: (n,), 0..1, higher = more typical of the pool.

    The opposite direction of novelty: the highest are the commonest views, the lowest are outliers. An image without
    neighbours gets 0.
    """
    score = np.empty(len(graph.neighbours), dtype=np.float32)
    for block in _blocks(graph):
        exists = graph.neighbours[block] >= 0
        n_near = exists.sum(axis=1)
        total = np.where(exists, graph.similarity[block], 0).sum(axis=1, dtype=np.float32)
        score[block] = np.where(n_near > 0, (1 + total / np.maximum(n_near, 1)) / 2, 0)
    return np.clip(score, 0, 1)


def kernel_density(graph: KnnGraph, bandwidth: float) -> npt.NDArray[np.float32]:
    """Return 1 + sum over neighbours of exp(-d^2 / bandwidth), d^2 = 2 - 2 cos: (n,), 1 .. k + 1, higher = denser.

    About how many images look like this one, itself counted; what coverage divides by so that the majority does not
    outvote the rest.
    """
    _check_bandwidth(bandwidth)
    density = np.empty(len(graph.neighbours), dtype=np.float32)
    for block in _blocks(graph):
        squared = np.maximum(2 - 2 * graph.similarity[block], 0)
        kernel = np.where(graph.neighbours[block] >= 0, np.exp(-squared / np.float32(bandwidth)), 0)
        density[block] = 1 + kernel.sum(axis=1)
    return density


def sample_density(
    vectors: FloatArray | Rows, bandwidth: float, rng: np.random.Generator, device: str = "cpu",
    reference: FloatArray | None = None,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """Return the mean kernel exp(-d^2 / bandwidth) between each row and a random sample: (n,), 0..1, higher = denser.

    The share of the pool that looks like each image. A crowd of 100,000 stands out from one of 100; groups that the
    sample misses do not show. The whole pool is the sample where it has no more than 2,048 rows.
    vectors: (n, d) unit rows, or such ``Rows``, whose device then counts. reference: (r, d) unit rows in the place of a
    sample of these. Time O(n r d) for r = 2,048 sampled rows, in rough products: the mean is off by about 1 %.
    """
    _check_bandwidth(bandwidth)
    n = len(vectors)
    rows = vectors if isinstance(vectors, Rows) else Rows(vectors, device)
    sample = (
        rows.rough(sample_rows(n, rng)) if reference is None else Rows(reference, str(rows.device)).rough(slice(None))
    )
    anchors = sample.T
    density = np.empty(n, dtype=np.float32)
    for block in rows.blocks(PRODUCT_ROWS[rows.device.type]):
        cosine = (rows.rough(block) @ anchors).float()
        kernel = cosine.sub_(1.0).clamp_(max=0.0).mul_(2.0 / bandwidth).exp_()
        density[block] = kernel.mean(dim=1).cpu().numpy()
    return density


def sample_rows(n: int, rng: np.random.Generator) -> IntArray:
    """Return the rows, ascending, that stand for a pool of ``n`` where its density is estimated: 2,048 or all."""
    return np.sort(rng.choice(n, size=min(n, REFERENCE_ROWS), replace=False))


def pool_density(
    vectors: FloatArray, graph: KnnGraph, bandwidth: float, rng: np.random.Generator, device: str = "cpu"
) -> npt.NDArray[np.float32]:
    """Return the kernel sum over the whole pool, estimated: (n,) >= 1, higher = denser.

    The graph knows only k neighbours, so it cannot tell a crowd of 100 from one of 100,000; a random sample can, but
    misses small groups. The larger of the two is taken. vectors: (n, d) unit rows.
    """
    crowd = sample_density(vectors, bandwidth, rng, device) * np.float32(len(vectors))
    return np.asarray(np.maximum(kernel_density(graph, bandwidth), crowd))


def _check_bandwidth(bandwidth: float) -> None:
    if not bandwidth > 0:
        raise DataError("bandwidth must be above 0", found=str(bandwidth))


def _blocks(graph: KnnGraph) -> Iterator[slice]:
    n = len(graph.neighbours)
    for start in range(0, n, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, n))
