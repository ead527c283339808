"""The space in which selection compares images: their vectors, reduced, kept from round to round."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.embedding.reduced import Directions, Half, Reduced, copy_rows, read_reduced, write_reduced
from activesel.ids import IdArray, find_ids, unique_ids
from activesel.progress import show_progress
from activesel.projection import BLOCK_ROWS, apply_directions, can_reduce, fit_directions, sample_rows
from activesel.records import FloatArray
from activesel.vectors import iterate_blocks

LEAST_ROWS = 5000  # smaller pools are reduced in less time than a file is worth
OUTGROWN = 2  # times as many images as directions were fitted to: they are fitted anew

Part = tuple[npt.NDArray[np.int64], FloatArray]
# (ids of some images) -> their vectors, part by part, with their positions among those ids; in any order
LoadParts = Callable[[IdArray], Iterator[Part]]


@dataclass(frozen=True)
class Space:
    """rows: (n, c) unit rows, one per image, memory-mapped where the pool is large. directions: what gave them.

    identity: what a row depends on beside its image, as JSON: what was computed of rows of the same space still fits.
    """

    rows: FloatArray
    directions: Directions
    identity: dict[str, str | int]

    def project(self, vectors: FloatArray) -> FloatArray:
        """Bring other vectors (q, d), unit or not, into this space."""
        return _apply(vectors, self.directions)


def open_space(
    folder: Path, name: str, ids: IdArray, load_parts: LoadParts, components: int, *, whole: bool = True
) -> Space:
    """Return the vectors of the images (n, 16), in ``components`` dimensions; what an earlier round kept is not redone.

    Images that came since are added with the directions of then, so the rows of the others, and what was computed from
    them, stay valid; once the pool has outgrown the directions, all is made anew. folder: of all spaces. name: of the
    vectors, other vectors, another name. whole: these are all images there are; others that were kept go.

    Raises:
        DataError: an image without a vector. UnreachableError: the disk is full.
    """
    if len(ids) < LEAST_ROWS:
        return _describe(name, components, *_reduce_now(ids, load_parts, components))
    folder = folder / f"{name}-{components}"
    kept = read_reduced(folder)
    if kept is not None and len(ids) >= OUTGROWN * kept.directions.n_fitted:
        kept = None
    at = np.full(len(ids), -1, np.int64) if kept is None else find_ids(kept.ids, ids)
    if kept is None or (at < 0).any() or (whole and len(ids) < len(kept.ids)):
        wanted = ids if kept is None or whole else unique_ids(np.concatenate((kept.ids, ids)))
        kept = _keep(folder, wanted, load_parts, components, kept)
        at = find_ids(kept.ids, ids)
    rows = kept.rows if len(ids) == len(kept.ids) else kept.rows[at]
    return _describe(name, components, rows, kept.directions)


def load_array_parts(ids: IdArray, vectors: FloatArray) -> LoadParts:
    """Return a loader of rows of an array (n, d), which may be memory-mapped; ids: (n, 16), ascending."""

    def load(wanted: IdArray) -> Iterator[Part]:
        rows = find_ids(ids, wanted)
        for start in range(0, len(rows), BLOCK_ROWS):
            here = np.arange(start, min(start + BLOCK_ROWS, len(rows)))
            yield here, np.asarray(vectors[rows[here]])

    return load


def forget_others(folder: Path, start: str, name: str) -> None:
    """Remove the spaces whose names begin with ``start``, but for ``name``'s."""
    for other in folder.glob(f"{start}*"):
        if not other.name.startswith(name):
            shutil.rmtree(other, ignore_errors=True)


def _describe(name: str, components: int, rows: FloatArray, directions: Directions) -> Space:
    return Space(rows, directions, {"vectors": name, "components": components, "directions": directions.checksum})


def _reduce_now(ids: IdArray, load_parts: LoadParts, components: int) -> tuple[FloatArray, Directions]:
    vectors = _load(ids, load_parts)
    directions = _fit(len(ids), vectors[sample_rows(len(ids))], components)
    return _apply(vectors, directions), directions


def _keep(folder: Path, ids: IdArray, load_parts: LoadParts, components: int, kept: Reduced | None) -> Reduced:
    """Write the rows of the ids, taking from ``kept`` those that it has."""
    at = np.full(len(ids), -1, np.int64) if kept is None else find_ids(kept.ids, ids)
    new = np.flatnonzero(at < 0)
    if kept is not None:
        directions, width = kept.directions, kept.rows.shape[1]
    else:
        sample = _load(ids[sample_rows(len(ids))], load_parts)
        directions = _fit(len(ids), sample, components)
        width = sample.shape[1] if directions.matrix is None else components

    def fill(rows: Half) -> None:
        if kept is not None:
            old = np.flatnonzero(at >= 0)
            copy_rows(kept.rows, at[old], rows, old)
        with show_progress("reduce", len(new)) as advance:
            for positions, vectors in _in_blocks(load_parts(ids[new])):
                rows[new[positions]] = _apply(vectors, directions)
                advance(len(positions))

    return write_reduced(folder, ids, width, directions, fill)


def _fit(n: int, sample: FloatArray, components: int) -> Directions:
    if not can_reduce(n, sample.shape[1], components):
        return Directions(None, n)
    return Directions(fit_directions(_unit(sample), components), n)


def _apply(vectors: FloatArray, directions: Directions) -> FloatArray:
    if directions.matrix is not None:
        return apply_directions(vectors, directions.matrix)
    return np.concatenate([_unit(block).astype(np.float16) for _, block in iterate_blocks(vectors)])


def _load(ids: IdArray, load_parts: LoadParts) -> FloatArray:
    out: FloatArray | None = None
    for positions, vectors in load_parts(ids):
        if out is None:
            out = np.empty((len(ids), vectors.shape[1]), vectors.dtype)
        out[positions] = vectors
    assert out is not None, "a pool has an image"
    return out


def _in_blocks(parts: Iterator[Part]) -> Iterator[Part]:
    """Join small parts: shards may hold a few rows each, and a product of a few rows costs as much as one of many."""
    waiting: list[Part] = []
    for part in parts:
        waiting.append(part)
        if sum(len(positions) for positions, _ in waiting) >= BLOCK_ROWS:
            yield _join(waiting)
            waiting = []
    if waiting:
        yield _join(waiting)


def _join(parts: list[Part]) -> Part:
    return np.concatenate([positions for positions, _ in parts]), np.concatenate([vectors for _, vectors in parts])


def _unit(vectors: FloatArray) -> npt.NDArray[np.float32]:
    rows = np.asarray(vectors, dtype=np.float32)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1), dtype=np.float32)
