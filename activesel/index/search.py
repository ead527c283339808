"""Nearest rows in a large pool: scan the codes of near lists, compare the best exactly, as hard as it takes."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from activesel.heap import trim_heap
from activesel.index.codes import Codes, inner_products
from activesel.index.exact import ExactSearch
from activesel.index.found import Found, measure_recall, take_best
from activesel.index.lists import Lists
from activesel.index.workers import run_on_all_cores
from activesel.progress import Advance, ignore_progress
from activesel.records import IntArray
from activesel.tensors import BLOCK_ROWS, Rows

_LOG = logging.getLogger(__name__)

# The promise for pools above 20,000 rows: share of the true k nearest that is listed, on average.
WANTED_RECALL = 0.95
# What is aimed at on the sample: above the promise by its error; more where more costs only seconds.
AIM = 0.966
AIM_IN_SMALL = 0.996
SMALL_ROWS = 200_000
TUNING_ROWS = 512
PROBES = (4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 16384)
WIDTHS = (2, 2.5, 3, 3.5, 4, 5, 6, 8, 12)  # candidates compared exactly, in multiples of k + 1
WIDER = (16, 24, 32, 48, 64)  # where the codes tell little: few dimensions, or many of equal weight
CHUNK_ROWS = 1024
SAMPLE_CHUNK_ROWS = 64


@dataclass(frozen=True)
class Effort:
    """probes: lists scanned for a row. n_candidates: of their rows, how many are compared exactly."""

    probes: int
    n_candidates: int

    @property
    def cost(self) -> float:
        """In list scans; a candidate's exact comparison costs a seventh of scanning a list, measured."""
        return self.probes + 0.15 * self.n_candidates


class ListSearch:
    """The neighbours of a pool's own rows, most of them: what is listed is exact, what is missing is tuned.

    Memory beside the vectors: about 80 bytes a row. Time about linear, O(n l) with l lists at worst.
    """

    def __init__(self, vectors: Rows, k: int, seed: int) -> None:
        self._vectors = vectors
        self._lists = Lists(vectors, seed)
        self._codes = self._encode()
        self._lists.forget_sample()
        self.order: IntArray = np.argsort(self._lists.of_row, kind="stable")
        self._scratch = threading.local()
        self.effort = self._tune(k)
        trim_heap()

    def find(self, rows: IntArray, k: int, advance: Advance = ignore_progress) -> Found:
        """See `Search`. Of equally similar rows at the end of the list, any may be listed."""
        similarity = np.zeros((len(rows), k), np.float32)
        neighbours = np.full((len(rows), k), -1, np.int32)
        effort = Effort(self.effort.probes, max(self.effort.n_candidates, k + 1))

        def find(start: int) -> None:
            chunk = slice(start, start + CHUNK_ROWS)
            similarity[chunk], neighbours[chunk] = _take_top(*self._compare(rows[chunk], effort), k)
            advance(len(rows[chunk]))

        run_on_all_cores(find, range(0, len(rows), CHUNK_ROWS))
        return similarity, neighbours

    def _encode(self) -> Codes:
        """Return the codes of all rows; each core fills its own share of them, which are joined in order."""
        codes = Codes(self._lists.centroids, self._lists.sample)
        n = len(self._vectors)
        bounds = np.linspace(0, n, torch.get_num_threads() + 1).astype(np.int64).tolist()
        shares = [codes.copy() for _ in bounds[1:]]

        def fill(number: int) -> None:
            for start in range(bounds[number], bounds[number + 1], BLOCK_ROWS):
                block = slice(start, min(start + BLOCK_ROWS, bounds[number + 1]))
                shares[number].add(self._lists.project(self._vectors.exact(block)), self._lists.of_row[block])

        run_on_all_cores(fill, range(len(shares)))
        self._vectors.release()
        for share in shares:
            codes.absorb(share)
        codes.seal()
        return codes

    def _compare(self, rows: IntArray, effort: Effort) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return exact similarities of each row to its candidates, best guess first, and their numbers, both (q, m).

        -inf marks the row itself and what is no candidate.
        """
        own = self._vectors.exact(rows)
        queries = self._lists.project(own)
        candidates = self._codes.scan(queries, *self._lists.nearest(queries, effort.probes), effort.n_candidates)
        distinct, place = self._number_distinct(candidates)
        similarity = inner_products(own.contiguous().numpy(), self._vectors.exact(distinct).numpy(), place)
        similarity[candidates == rows[:, None]] = -np.inf
        return similarity, candidates

    def _compare_sample(self, rows: IntArray, effort: Effort) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        similarity = np.empty((len(rows), effort.n_candidates), np.float32)
        candidates = np.empty((len(rows), effort.n_candidates), np.int64)

        def compare(start: int) -> None:
            chunk = slice(start, start + SAMPLE_CHUNK_ROWS)
            similarity[chunk], candidates[chunk] = self._compare(rows[chunk], effort)

        run_on_all_cores(compare, range(0, len(rows), SAMPLE_CHUNK_ROWS))
        return similarity, candidates

    def _number_distinct(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct row numbers among ``rows``, and where each of ``rows`` is among those; -1 stays -1.

        Neighbours share neighbours: this way each vector is fetched once a chunk. A table over all rows of the pool
        does it in a third of a sort's time.
        """
        if not hasattr(self._scratch, "place"):
            self._scratch.place = np.zeros(len(self._vectors) + 1, np.int32)  # the last one stands for row -1
        place = self._scratch.place
        flat = rows.ravel()
        place[flat] = np.arange(len(flat), dtype=np.int32)
        distinct = flat[place[flat] == np.arange(len(flat), dtype=np.int32)]
        distinct = distinct[distinct >= 0]
        place[distinct] = np.arange(len(distinct), dtype=np.int32)
        place[-1] = -1
        return distinct, place[rows].astype(np.int64)

    def _tune(self, k: int) -> Effort:
        """Return the cheapest effort that finds the neighbours of a sample of the pool's rows well enough."""
        rows = self.order[:: -(-len(self.order) // TUNING_ROWS)]
        exact = ExactSearch(self._vectors).find(rows, k)[0]
        recall = 0.0
        for widths in (WIDTHS, WIDER):
            candidates = [int(width * (k + 1)) for width in widths]
            best, recall = self._find_cheapest(rows, exact, candidates)
            if best is not None:
                return best
        _LOG.warning("the neighbours of a row are spread over the whole pool: %.3f of them are listed", recall)
        return Effort(len(self._lists.centroids), candidates[-1])

    def _find_cheapest(
        self, rows: IntArray, exact: npt.NDArray[np.float32], widths: list[int]
    ) -> tuple[Effort | None, float]:
        """Return the cheapest effort of these widths that is good enough, if one is, and the last recall seen."""
        k, n_lists = exact.shape[1], len(self._lists.centroids)
        aim = AIM_IN_SMALL if len(self.order) <= SMALL_ROWS else AIM
        best, recall = None, 0.0
        for probes in [*(probes for probes in PROBES if probes < n_lists), n_lists]:
            if best is not None and probes > best.cost:
                break
            similarity, candidates = self._compare_sample(rows, Effort(probes, widths[-1]))
            for width in widths:
                recall = measure_recall(_take_top(similarity[:, :width], candidates[:, :width], k)[0], exact)
                if recall >= aim:
                    effort = Effort(probes, width)
                    best = effort if best is None or effort.cost < best.cost else best
                    break
        return best, recall


def _take_top(similarity: npt.NDArray[np.float32], candidates: npt.NDArray[np.int64], k: int) -> Found:
    top = torch.from_numpy(similarity).topk(min(k, similarity.shape[1]), dim=1, sorted=False).indices.numpy()
    return take_best(np.take_along_axis(similarity, top, 1), np.take_along_axis(candidates, top, 1), k)
