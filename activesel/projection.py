"""Fewer dimensions for selection: the principal directions that keep cosines best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray

SAMPLE_ROWS = 16384
BLOCK_ROWS = 2048


def reduce_dimensions(vectors: FloatArray, components: int) -> FloatArray:
    """Return unit rows in the ``components`` leading singular directions of the pool, (n, components) float16.

    The directions come from the uncentred Gram matrix of an evenly spaced sample, so cosines keep their meaning and
    near-duplicates stay near. components 0, or no fewer than d: the vectors come back as they are.
    Deterministic; time O(s d^2 + n d components), memory O(d^2).
    """
    n, d = vectors.shape
    if not can_reduce(n, d, components):
        return vectors
    directions = fit_directions(np.asarray(vectors[sample_rows(n)], np.float32), components)
    return apply_directions(vectors, directions)


def can_reduce(n: int, d: int, components: int) -> bool:
    """Whether there is something to reduce: n vectors of d dimensions hold as many directions, and more."""
    return 0 < components < min(n, d)


def sample_rows(n: int) -> npt.NDArray[np.int64]:
    """Return the rows that directions are fitted to, evenly spaced over n."""
    return np.unique(np.linspace(0, n - 1, min(n, SAMPLE_ROWS)).astype(np.int64))


def fit_directions(sample: npt.NDArray[np.float32], components: int) -> npt.NDArray[np.float32]:
    """Return the ``components`` leading singular directions of unit rows (s, d): (d, components).

    From the smaller of the two Gram matrices, (d, d) or (s, s), which have the same eigenvalues; time O(min(s, d)^3).
    Rows that span fewer dimensions have no more directions: those that lack are zero where s < d.
    """
    from scipy.linalg import eigh

    s, d = sample.shape
    gram = (sample.T @ sample if s >= d else sample @ sample.T).astype(np.float64)
    values, vectors = eigh(gram, subset_by_index=[len(gram) - components, len(gram) - 1])
    if s < d:
        least = np.finfo(np.float32).eps * np.trace(gram)  # what is smaller is rounding
        vectors = sample.T @ (vectors * np.where(values > least, 1 / np.sqrt(np.maximum(values, least)), 0))
    return np.ascontiguousarray(vectors[:, ::-1], dtype=np.float32)


def apply_directions(vectors: FloatArray, directions: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return unit rows (n, components) of the vectors (n, d), unit or not; a row of zeros stays zeros.

    A row comes out the same, to the bit, whatever rows it is in company with.
    """
    n, d = vectors.shape
    reduced = np.empty((n, directions.shape[1]), dtype=np.float16)
    # In float64: some processors' kernels sum rows at the end of a tile in another order than the rest, which shows in
    # float16 where the sums are float32. And blocks are filled up with zeros, so that all have one shape.
    block, exact = np.zeros((BLOCK_ROWS, d), dtype=np.float64), directions.astype(np.float64)
    for start in range(0, n, BLOCK_ROWS):
        part = vectors[start : start + BLOCK_ROWS]
        block[: len(part)] = part
        block[len(part) :] = 0
        reduced[start : start + len(part)] = _unit(block @ exact)[: len(part)]
    return reduced


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1))
