"""The pools that are selected from: made once, written to a folder, read by every measured process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

N_CLUSTERS = 2000
BLOCK_ROWS = 65536

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PoolSpec:
    """What a pool looks like; the same spec is the same pool, byte for byte."""

    n: int
    d: int
    n_labelled: int = 1000
    n_classes: int = 10

    @property
    def folder(self) -> str:
        return f"pool-{self.n}x{self.d}-{self.n_labelled}-{self.n_classes}"


@dataclass(frozen=True)
class StoredPool:
    """A pool as its files hold it.

    vectors: (n, d) float16 unit rows. labelled: (m,) rows. classes: (m,). probs: (n, c) float32 of a linear head.
    neighbours, similarity: (n, k) of the kNN graph, None before it was built.
    """

    vectors: Array
    labelled: Array
    classes: Array
    probs: Array | None
    neighbours: Array | None
    similarity: Array | None


def make_pool(n: int, d: int, n_labelled: int) -> tuple[Array, Array, Array]:
    """Return vectors (n, d) float32, labelled rows (m,) and their classes (m,): clusters as a backbone makes them.

    d: at least 20. 2,000 clusters of uneven size (Zipf: the largest holds 12 %) near a 20-dimensional subspace; classes
    by cluster.
    """
    rng = np.random.default_rng(0)
    cluster = _draw_clusters(rng, n, d)
    vectors = np.empty((n, d), dtype=np.float32)
    for start, block in _draw_blocks(rng, cluster):
        vectors[start : start + len(block)] = block
    labelled = np.sort(rng.choice(n, size=n_labelled, replace=False))
    return vectors, labelled, cluster.of_row[labelled] % 10


def write_pool(folder: Path, spec: PoolSpec, *, with_probs: bool = True) -> None:
    """Write vectors as float16, labels, and a linear head's probabilities; block by block, so that 10M rows fit."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    cluster = _draw_clusters(rng, spec.n, spec.d)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (spec.n, spec.d))
    for start, block in _draw_blocks(rng, cluster):
        vectors[start : start + len(block)] = block
    vectors.flush()
    labelled = np.sort(rng.choice(spec.n, size=spec.n_labelled, replace=False))
    classes = cluster.of_row[labelled] % spec.n_classes
    np.save(folder / "labelled.npy", labelled)
    np.save(folder / "classes.npy", classes)
    if with_probs:
        from activesel.training.head import fit_head

        head = fit_head(np.asarray(vectors[labelled], dtype=np.float32), classes, spec.n_classes)
        np.save(folder / "probs.npy", head.probabilities(vectors))


def read_pool(folder: Path, *, mapped: bool = False) -> StoredPool:
    """Read a pool's files; ``mapped`` leaves the vectors on disk."""
    return StoredPool(
        np.load(folder / "vectors.npy", mmap_mode="r" if mapped else None),
        np.load(folder / "labelled.npy"),
        np.load(folder / "classes.npy"),
        _read_if_there(folder / "probs.npy"),
        _read_if_there(folder / "neighbours.npy"),
        _read_if_there(folder / "similarity.npy"),
    )


def _read_if_there(path: Path) -> Array | None:
    return np.load(path) if path.exists() else None


@dataclass(frozen=True)
class _Clusters:
    """basis: (20, d). centres: (2000, 20). of_row: (n,) the cluster of each row."""

    basis: Array
    centres: Array
    of_row: Array


def _draw_clusters(rng: np.random.Generator, n: int, d: int) -> _Clusters:
    basis = np.linalg.qr(rng.normal(size=(d, 20)))[0].T.astype(np.float32)
    centres = rng.normal(size=(N_CLUSTERS, 20)).astype(np.float32)
    share = 1.0 / np.arange(1, N_CLUSTERS + 1)
    return _Clusters(basis, centres, rng.choice(N_CLUSTERS, size=n, p=share / share.sum()))


def _draw_blocks(rng: np.random.Generator, cluster: _Clusters) -> Iterator[tuple[int, Array]]:
    """Yield (first row, (r, d) float32 unit rows)."""
    for start in range(0, len(cluster.of_row), BLOCK_ROWS):
        part = cluster.centres[cluster.of_row[start : start + BLOCK_ROWS]]
        low = part + 0.3 * rng.standard_normal(part.shape, dtype=np.float32)
        noise = rng.standard_normal((len(part), cluster.basis.shape[1]), dtype=np.float32)
        block = low @ cluster.basis + 0.02 * noise
        yield start, block / np.linalg.norm(block, axis=1, keepdims=True)
