"""Keep the kNN graph of a pool between rounds: labels change every week, the images' neighbours hardly."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from activesel.errors import DataError
from activesel.ids import ID_BYTES, IdArray, find_ids, sort_ids
from activesel.index import extend_graph, knn_graph
from activesel.index.found import Found
from activesel.index.stored import Columns, map_arrays, write_arrays
from activesel.records import FloatArray, IntArray, KnnGraph
from activesel.workspace import Workspace

_LOG = logging.getLogger(__name__)

LEAST_ROWS = 5000  # smaller pools are compared in less time than a file is worth
MOST_NEW = 0.3  # above, building anew costs about as much as growing
MOST_GONE = 0.05  # above, most lists have lost more than a neighbour
CHECK_ROWS = 1 << 18


def keep_graph(
    workspace: Workspace, space: object, ids: IdArray, vectors: FloatArray, k: int, *, seed: int, device: str = "cpu"
) -> KnnGraph:
    """Return the kNN graph of the (n, d) unit rows: the kept one where the images are the same, grown by the new images
    where few came or left, built otherwise.

    space: what a vector depends on beside its image, as JSON; with k and seed it names the file. ids: (n, 16) bytes,
    distinct, the image of each row. The newest graph alone is kept. Building leaves its finished parts, and goes on
    from them when it was killed. A file that is damaged or does not fit is built anew, with a line in the log.

    Raises:
        UnreachableError: the disk is full.
    """
    n = len(vectors)
    if n < LEAST_ROWS:
        return knn_graph(vectors, k, seed=seed, device=device)
    path = workspace.index_dir / f"graph-{_digest([2, space, vectors.shape[1], k, seed])}.safetensors"
    kept = _read(path, k) if path.exists() else None
    if kept is not None and np.array_equal(kept[1], ids):
        return kept[0]
    places = None if kept is None else _find_places(ids, kept[1])
    if kept is not None and places is not None and _is_little_changed(places, n):
        graph = extend_graph(vectors, kept[0], places, k, seed=seed, device=device)
    else:
        parts = path.with_name(f"{path.stem}-{hashlib.sha256(ids.tobytes()).hexdigest()[:16]}.parts")
        _remove_others(workspace, path, parts)
        graph = knn_graph(vectors, k, seed=seed, device=device, remember=_keep_parts(parts, k))
    write_arrays(path, {"neighbours": graph.neighbours, "similarity": graph.similarity, "ids": ids})
    _remove_others(workspace, path)
    return graph


def _read(path: Path, k: int) -> tuple[KnnGraph, IdArray] | None:
    try:
        columns: Columns = {"neighbours": (np.int32, k), "similarity": (np.float32, k), "ids": (np.uint8, ID_BYTES)}
        arrays = map_arrays(path, columns)
        graph = KnnGraph(arrays["neighbours"], arrays["similarity"])
        _check(graph, path)
    except DataError as error:
        _LOG.warning("%s; built anew", error)
        return None
    return graph, arrays["ids"]


def _check(graph: KnnGraph, path: Path) -> None:
    """Refuse numbers that would read outside the pool.

    Raises:
        DataError: a neighbour that is no row, or a similarity that is none.
    """
    n = len(graph.neighbours)
    for start in range(0, n, CHECK_ROWS):
        neighbours, similarity = (
            graph.neighbours[start : start + CHECK_ROWS],
            graph.similarity[start : start + CHECK_ROWS],
        )
        if neighbours.min() < -1 or neighbours.max() >= n or not np.abs(similarity).max() <= 1.01:
            raise DataError("the graph holds impossible values", where=str(path), found=f"rows from {start}",
                            expected=f"neighbours from -1 to {n - 1}, similarities from -1 to 1")  # fmt: skip


def _find_places(ids: IdArray, before: IdArray) -> IntArray:
    """Return the row in ``ids`` of each earlier image, -1 where it has left."""
    order = sort_ids(ids)
    at = find_ids(ids[order], before)
    return np.where(at < 0, -1, order[at])


def _is_little_changed(places: IntArray, n: int) -> bool:
    n_kept = int((places >= 0).sum())
    return n - n_kept <= MOST_NEW * n and len(places) - n_kept <= MOST_GONE * len(places)


def _keep_parts(folder: Path, k: int) -> Callable[[IntArray, Callable[[], Found]], Found]:
    """Return what writes each part to a file of its own, or reads it if a killed run already has."""
    number = 0

    def remember(rows: IntArray, find: Callable[[], Found]) -> Found:
        nonlocal number
        path = folder / f"part-{number:05d}.safetensors"
        number += 1
        found = _read_part(path, rows, k)
        if found is None:
            found = find()
            write_arrays(path, {"rows": rows[:, None], "neighbours": found[1], "similarity": found[0]})
        return found

    return remember


def _read_part(path: Path, rows: IntArray, k: int) -> Found | None:
    if not path.exists():
        return None
    columns: Columns = {"rows": (np.int64, 1), "neighbours": (np.int32, k), "similarity": (np.float32, k)}
    try:
        arrays = map_arrays(path, columns)
    except DataError as error:
        _LOG.warning("%s; searched again", error)
        return None
    # Another machine rounds otherwise, and may have dealt the rows into other parts.
    if not np.array_equal(arrays["rows"][:, 0], rows):
        return None
    return arrays["similarity"], arrays["neighbours"]


def _remove_others(workspace: Workspace, *kept: Path) -> None:
    for path in [*workspace.index_dir.glob("graph-*"), *workspace.index_dir.glob(".graph-*")]:
        if path in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
