"""Nearest neighbours by cosine; the only file that imports faiss. Rows are unit vectors, row number = order added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.records import FloatArray, KnnGraph
from activesel.seeds import derive_seed
from activesel.workspace import write_atomic

Kind = Literal["flat", "ivf", "hnsw"]
Found = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

FLAT_UP_TO = 20_000  # below this, comparing with everything takes seconds and is exact
WANTED_RECALL = 0.995  # on the tuning sample, so that 0.99 holds on the rest
TUNING_QUERIES = 256
TUNING_NEIGHBOURS = 32
BLOCK_VALUES = 1 << 23  # 32 MB of float32 at a time
TRAINING_ROWS = 30  # per list
MAGIC = b"activesel-index-1\n"


def knn_graph(vectors: FloatArray, k: int, *, seed: int = 0) -> KnnGraph:
    """Return the k nearest other rows of each of the (n, d) unit rows, nearest first, equal ones by row number.

    A row leaves out itself by number, so its exact copies stay its neighbours. k is cut to n - 1 (but at least one
    column remains: -1 where there is nothing). Exact up to 20,000 rows, recall >= 0.99 above. Time about O(n^1.5 d).
    """
    n = len(vectors)
    n_columns = max(1, min(k, n - 1))
    neighbours = np.full((n, n_columns), -1, np.int32)
    similarity = np.zeros((n, n_columns), np.float32)
    if n < 2:
        return KnnGraph(neighbours, similarity)
    index = VectorIndex.build(vectors, seed)
    for start, stop in _blocks(vectors):
        found = index.search(vectors[start:stop], n_columns + 1)
        near, rows = _drop_self(*found, np.arange(start, stop))
        similarity[start:stop], neighbours[start:stop] = near, rows
    return KnnGraph(neighbours, similarity)


class VectorIndex:
    """Unit rows that can be searched, added to, saved and loaded.

    flat: compares with every row, exact. ivf: compares with the rows of the nearest lists only; how many lists is found
    by trial against exact search, on rows of its own: recall is lower for queries unlike all of them. hnsw: a graph to
    walk, fastest for queries one by one, slowest to build, and built by racing threads: two builds differ in a few
    links, so selection never uses it.
    """

    def __init__(self, index: Any, kind: Kind) -> None:
        self._index = index
        self.kind: Kind = kind

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @classmethod
    def build(cls, vectors: FloatArray, seed: int = 0, kind: Kind | None = None) -> VectorIndex:
        """Index (n, d) unit rows; without a kind, flat up to 20,000 rows and ivf above."""
        n, d = vectors.shape
        if kind is None:
            kind = "flat" if n <= FLAT_UP_TO else "ivf"
        if kind == "flat":
            index = cls(faiss.IndexFlatIP(d), kind)
        elif kind == "ivf":
            index = cls(_train_lists(vectors, seed), kind)
        else:
            index = cls(faiss.IndexHNSWFlat(d, 32, faiss.METRIC_INNER_PRODUCT), kind)
        index.add(vectors)
        return index

    def add(self, vectors: FloatArray) -> None:
        """Append rows; they get the next row numbers. The search effort is tuned anew on a sample of them."""
        for start, stop in _blocks(vectors):
            self._index.add(_as_float32(vectors[start:stop]))
        if self.kind != "flat" and len(vectors):
            step = -(-len(vectors) // TUNING_QUERIES)
            self._tune(_as_float32(vectors[::step]))

    def search(self, queries: FloatArray, k: int) -> Found:
        """Return similarity (q, k) float32 and rows (q, k) int64, most similar first, equal ones by row number.

        Where there are fewer than k rows: similarity 0 and row -1.
        """
        similarity = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        for start, stop in _blocks(queries):
            near, found = self._search_block(_as_float32(queries[start:stop]), k)
            near[found < 0] = -np.inf
            order = np.lexsort((found, -near), axis=1)
            rows[start:stop] = np.take_along_axis(found, order, 1)
            similarity[start:stop] = np.take_along_axis(near, order, 1)
        similarity[rows < 0] = 0
        return similarity, rows

    def save(self, path: Path) -> None:
        """Write the index with its checksum, atomically. Holds the file's bytes in memory once."""
        payload = faiss.serialize_index(self._index).data
        header = {"kind": self.kind, "sha256": hashlib.sha256(payload).hexdigest(), "bytes": len(payload)}
        write_atomic(path, b"".join([MAGIC, json.dumps(header).encode(), b"\n", payload]))

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Read what ``save`` wrote.

        Raises:
            DataError: no such file, not an index, of another version, cut short or altered.
        """
        hint = "delete it; the next command builds it again"
        try:
            with path.open("rb") as stream:
                magic, head, payload = stream.readline(64), stream.readline(512), stream.read()
        except OSError as error:
            raise DataError("cannot read the index", where=str(path), found=error.strerror) from None
        try:
            header = json.loads(head) if magic == MAGIC else None
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("kind") not in ("flat", "ivf", "hnsw"):
            raise DataError("not an index of this version", where=str(path), hint=hint)
        # faiss trusts what it reads: a wrong byte could crash the process, so nothing unverified reaches it.
        if hashlib.sha256(payload).hexdigest() != header.get("sha256"):
            raise DataError("the index is damaged", where=str(path), found=f"{len(payload)} bytes, other checksum",
                            expected=f"{header.get('bytes')} bytes", hint=hint)  # fmt: skip
        return cls(faiss.deserialize_index(np.frombuffer(payload, np.uint8)), header["kind"])

    def _search_block(self, queries: npt.NDArray[np.float32], k: int) -> Found:
        if self.kind != "ivf":
            similarity, rows = self._index.search(queries, k)
            return similarity, rows
        closeness, lists = self._index.quantizer.search(queries, self._index.nprobe)
        # Queries of one list after another read the same lists from the cache: half the time. With the lists given,
        # faiss searches on one core unless mode 3 deals the queries out to all.
        self._index.parallel_mode = 3
        order = np.argsort(lists[:, 0], kind="stable")
        near, found = self._index.search_preassigned(queries[order], k, lists[order], closeness[order])
        similarity, rows = np.empty_like(near), np.empty_like(found)
        similarity[order], rows[order] = near, found
        return similarity, rows

    def _tune(self, queries: npt.NDArray[np.float32]) -> None:
        """Raise the effort until the sample's neighbours are found as by exact search, or the effort is total."""
        k = min(TUNING_NEIGHBOURS, len(self))
        effort = self._effort
        exact = self._search_exactly(queries, k)
        while True:
            self._effort = effort
            near, _ = self._search_block(queries, k)
            if measure_recall(near, exact) >= WANTED_RECALL or effort >= self._most_effort:
                return
            effort = min(effort + max(1, effort // 2), self._most_effort)

    def _search_exactly(self, queries: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
        if self.kind == "hnsw":
            near = faiss.downcast_index(self._index.storage).search(queries, k)[0]
        else:
            self._effort = self._most_effort
            near = self._search_block(queries, k)[0]
        return np.asarray(near)

    @property
    def _effort(self) -> int:
        return int(self._index.hnsw.efSearch if self.kind == "hnsw" else self._index.nprobe)

    @_effort.setter
    def _effort(self, effort: int) -> None:
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = effort
        else:
            self._index.nprobe = effort

    @property
    def _most_effort(self) -> int:
        return len(self) if self.kind == "hnsw" else int(self._index.nlist)


def measure_recall(similarity: FloatArray, exact: FloatArray) -> float:
    """Return the share of found neighbours at least as similar as the k-th exact one; equal ones count as found."""
    return float((similarity >= exact[:, -1:] - 1e-6).mean())


def _train_lists(vectors: FloatArray, seed: int) -> Any:
    n, d = vectors.shape
    n_lists = max(1, min(int(4 * np.sqrt(n)), 4096))
    quantizer = faiss.IndexFlatIP(d)
    index = faiss.IndexIVFFlat(quantizer, d, n_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = derive_seed(seed, "index") % (2**31)
    index.cp.niter = 6
    index.cp.spherical = True
    index.cp.max_points_per_centroid = TRAINING_ROWS
    index.cp.min_points_per_centroid = 1
    index.train(_as_float32(vectors[:: max(1, n // (TRAINING_ROWS * n_lists))]))
    index.nprobe = min(4, n_lists)
    return index


def _drop_self(similarity: FloatArray, rows: npt.NDArray[np.int64], own: npt.NDArray[np.int64]) -> Found:
    """Remove each row's own number from its k + 1 neighbours; where it is not among them, the last one."""
    is_self = rows == own[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    shape = (len(rows), rows.shape[1] - 1)
    return similarity[~is_self].reshape(shape), rows[~is_self].reshape(shape)


def _blocks(vectors: FloatArray) -> Iterator[tuple[int, int]]:
    step = max(1, BLOCK_VALUES // vectors.shape[1])
    for start in range(0, len(vectors), step):
        yield start, min(start + step, len(vectors))


def _as_float32(vectors: FloatArray) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(vectors, dtype=np.float32)
