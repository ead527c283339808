"""Keep the kNN graph of a pool between rounds: labels change every week, the images' neighbours do not."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from activesel.errors import DataError
from activesel.index import knn_graph
from activesel.records import FloatArray, KnnGraph
from activesel.workspace import Workspace, write_atomic

_LOG = logging.getLogger(__name__)

LEAST_ROWS = 5000  # smaller pools are compared in less time than a file is worth


def keep_graph(workspace: Workspace, identity: object, vectors: FloatArray, k: int, *, seed: int) -> KnnGraph:
    """Return ``knn_graph(vectors, k, seed=seed)``, read from the workspace where an earlier round left it.

    identity: what the vectors are, as JSON; together with k and seed it names the file. The newest graph alone is kept.
    A file that is damaged or does not fit is built anew, with a line in the log.
    """
    if len(vectors) < LEAST_ROWS:
        return knn_graph(vectors, k, seed=seed)
    name = json.dumps([1, identity, len(vectors), vectors.shape[1], k, seed], sort_keys=True)
    path = workspace.index_dir / f"graph-{hashlib.sha256(name.encode()).hexdigest()[:32]}.safetensors"
    if path.exists():
        try:
            return _read(path, len(vectors), k)
        except DataError as error:
            _LOG.warning("%s; built anew", error)
    graph = knn_graph(vectors, k, seed=seed)
    for old in [*workspace.index_dir.glob("graph-*.safetensors"), *workspace.index_dir.glob(".graph-*")]:
        old.unlink(missing_ok=True)
    write_atomic(path, save({"neighbours": graph.neighbours, "similarity": graph.similarity}))
    return graph


def _read(path: Path, n: int, k: int) -> KnnGraph:
    try:
        stored = load(path.read_bytes())
        neighbours, similarity = stored["neighbours"], stored["similarity"]
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError("the graph cannot be read", where=str(path), found=str(error)) from None
    shape = (n, max(1, min(k, n - 1)))
    fits = neighbours.shape == similarity.shape == shape and neighbours.dtype == np.int32
    if not fits or neighbours.min() < -1 or neighbours.max() >= n or not np.isfinite(similarity).all():
        raise DataError("the graph does not fit the pool", where=str(path), found=str(neighbours.shape),
                        expected=str(shape))  # fmt: skip
    return KnnGraph(neighbours, similarity)
