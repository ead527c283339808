"""Vectors as 4-bit codes in lists, scanned by table lookup; the only file that imports faiss."""

from __future__ import annotations

from typing import Any, cast

import faiss
import numpy as np
import numpy.typing as npt

from activesel.records import IntArray

Floats = npt.NDArray[np.float32]

BITS = 4  # what the fast scan works with: 16 values a dimension
QUERY_BY_QUERY = 11  # of faiss's ways to scan, a sixth faster here than the one it chooses for a thousand queries
TRAINING_ROWS = 8192
TRAINING_ROUNDS = 8


class Codes:
    """One 4-bit code per dimension of each row's difference from its list's centroid (product quantisation, Jegou et
    al. 2011; scanned in registers, Andre et al. 2015): n (d / 2 + 8) bytes. Rows are numbered in the order of adding.
    """

    def __init__(self, centroids: Floats, sample: Floats) -> None:
        """centroids: (l, d). sample: (s, d) rows to learn the code's values from."""
        d = centroids.shape[1]
        self._quantizer = faiss.IndexFlatL2(d)
        self._quantizer.add(centroids)
        plain = faiss.IndexIVFPQ(self._quantizer, d, len(centroids), d, BITS, faiss.METRIC_INNER_PRODUCT)
        plain.pq.cp.niter = TRAINING_ROUNDS
        plain.pq.cp.min_points_per_centroid = 1
        # Training is many small steps. torch may share the setting: it has to be put back.
        before = faiss.omp_get_max_threads()
        use_one_thread()
        plain.train(np.ascontiguousarray(sample[:: -(-len(sample) // TRAINING_ROWS)]))
        faiss.omp_set_num_threads(before)
        self._index: Any = plain

    def add(self, rows: Floats, lists: IntArray) -> None:
        """Append (b, d) rows to the lists (b,) they belong to."""
        at = np.ascontiguousarray(lists, np.int64)
        rows = np.ascontiguousarray(rows)
        self._index.add_core(len(rows), faiss.swig_ptr(rows), None, faiss.swig_ptr(at), None)

    def copy(self) -> Codes:
        """Return another one that codes alike and holds the same rows; both can be filled at once."""
        other = object.__new__(Codes)
        other._quantizer, other._index = self._quantizer, faiss.clone_index(self._index)
        return other

    def absorb(self, other: Codes) -> None:
        """Append another one's rows, which loses them."""
        self._index.merge_from(other._index, self._index.ntotal)

    def seal(self) -> None:
        """Lay the codes out for scanning; none can be added after."""
        self._index = faiss.IndexIVFPQFastScan(self._index)
        self._index.implem = QUERY_BY_QUERY
        # It would keep the codes as they came beside those that it scans, twice the memory, and never read them.
        self._index.orig_invlists, self._index.referenced_objects = None, []

    def scan(self, queries: Floats, lists: npt.NDArray[np.int64], products: Floats, m: int) -> npt.NDArray[np.int64]:
        """Return the m rows with about the largest product with each query, best first, (q, m); -1 for want of more.

        lists: (q, p) to scan for each query. products: (q, p) of the queries with the lists' centroids.
        """
        self._index.nprobe = lists.shape[1]
        found: npt.NDArray[np.int64] = self._index.search_preassigned(queries, m, lists, products)[1]
        return found


def inner_products(queries: Floats, rows: Floats, wanted: npt.NDArray[np.int64]) -> Floats:
    """Return the products of each query with its wanted rows, (q, w); -inf where wanted is -1."""
    out = np.full(wanted.shape, -np.inf, np.float32)
    for values in (queries, rows, wanted):
        assert values.flags.c_contiguous, "faiss reads plain memory"
    pointer, library = faiss.swig_ptr, cast(Any, faiss)  # which its type stubs do not know all of
    library.fvec_inner_products_by_idx(
        pointer(out), pointer(queries), pointer(rows), pointer(wanted), queries.shape[1], len(queries), wanted.shape[1]
    )
    return out


def use_one_thread() -> None:
    """Make faiss compute alone in the calling thread; others are not touched."""
    faiss.omp_set_num_threads(1)
