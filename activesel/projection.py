"""Fewer dimensions for selection: the principal directions that keep cosines best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray

SAMPLE_ROWS = 16384
BLOCK_ROWS = 16384


def reduce_dimensions(vectors: FloatArray, components: int) -> FloatArray:
    """Return unit rows in the ``components`` leading singular directions of the pool, (n, components) float16.

    The directions come from the uncentred Gram matrix of an evenly spaced sample, so cosines keep their meaning and
    near-duplicates stay near. components 0, or no fewer than d: the vectors come back as they are.
    Deterministic; time O(s d^2 + n d components), memory O(d^2).
    """
    n, d = vectors.shape
    if components == 0 or components >= d or n <= components:
        return vectors
    sample = np.asarray(vectors[np.unique(np.linspace(0, n - 1, min(n, SAMPLE_ROWS)).astype(np.int64))], np.float32)
    _, directions = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    basis = np.ascontiguousarray(directions[:, ::-1][:, :components], dtype=np.float32)
    reduced = np.empty((n, components), dtype=np.float16)
    for start in range(0, n, BLOCK_ROWS):
        reduced[start : start + BLOCK_ROWS] = _unit(np.asarray(vectors[start : start + BLOCK_ROWS], np.float32) @ basis)
    return reduced


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1), dtype=np.float32)
