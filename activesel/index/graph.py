"""The kNN graph of a pool: built whole, in parts that can be kept, or grown by the rows that came since."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from activesel.heap import trim_heap
from activesel.index.exact import ExactSearch
from activesel.index.found import Found, Search, take_best
from activesel.index.search import ListSearch
from activesel.progress import show_progress
from activesel.records import FloatArray, IntArray, KnnGraph
from activesel.tensors import Rows

EXACT_UP_TO = 20_000  # below this, comparing with everything takes seconds
PART_ROWS = 200_000  # kept at once: some ten seconds of work
WIDER = 8  # a new row offers itself to this many times k rows
BLOCK_ROWS = 65536

# Called with a part's rows and how to find their neighbours; may return what an earlier call kept instead.
Remember = Callable[[IntArray, Callable[[], Found]], Found]


def find_now(_rows: IntArray, find: Callable[[], Found]) -> Found:
    """Keep nothing."""
    return find()


def knn_graph(
    vectors: FloatArray, k: int, *, seed: int = 0, device: str = "cpu", remember: Remember = find_now
) -> KnnGraph:
    """Return the k nearest other rows of each of the (n, d) unit rows, nearest first, equal ones by row number.

    A row leaves out itself by number, so its exact copies stay its neighbours. k is cut to n - 1 (but at least one
    column remains: -1 where there is nothing). What is listed is exact. Nothing is missing up to 20,000 rows and on a
    GPU; above, `WANTED_RECALL` of the neighbours are listed, 0.99 up to 200,000 rows. remember: called for every part
    of the rows, always the same parts in the same order.
    """
    n = len(vectors)
    n_columns = max(1, min(k, n - 1))
    graph = _empty_graph(n, n_columns)
    if n < 2:
        return graph
    _fill(graph, Rows(vectors, device), seed, remember)
    trim_heap()
    return graph


def extend_graph(
    vectors: FloatArray, graph: KnnGraph, places: IntArray, k: int, *, seed: int = 0, device: str = "cpu"
) -> KnnGraph:
    """Return the graph over all of the (n, d) rows, given that of those that were there before.

    places: (m,) the row that each of the old graph's rows has become, -1 where it has left. New rows are compared with
    all, and enter the lists of the old rows they are nearer to than what was listed; a row of which more than every
    32nd neighbour has left is compared anew. Up to 20,000 rows all of them are. Deterministic; as good as `knn_graph`
    within a hundredth of recall, in the time of building lists over all rows and searching for the new ones.
    """
    n = len(vectors)
    if n <= EXACT_UP_TO:
        return knn_graph(vectors, k, seed=seed, device=device)
    assert graph.k == k, f"{graph.k} neighbours a row, expected {k}"
    grown, is_new = _carry_over(graph, places, n, k)
    is_thin = (grown.neighbours < 0).sum(axis=1) > k // 32
    rows = Rows(vectors, device)
    search = _open_search(rows, k, seed)
    asked = search.order[(is_new | is_thin)[search.order]]
    with show_progress("neighbours", len(asked)) as advance:
        for start in range(0, len(asked), BLOCK_ROWS):
            part = asked[start : start + BLOCK_ROWS]
            similarity, neighbours = search.find(part, WIDER * k, advance)
            grown.similarity[part], grown.neighbours[part] = similarity[:, :k], neighbours[:, :k]
            ours = is_new[part]
            _offer(grown, part[ours], neighbours[ours], similarity[ours], ~is_new & ~is_thin)
    return grown


def _fill(graph: KnnGraph, rows: Rows, seed: int, remember: Remember) -> None:
    """Find the neighbours of all rows, part by part."""
    k = graph.k
    with show_progress("neighbours", len(rows)) as advance:
        search = _open_search(rows, k, seed)
        for start in range(0, len(rows), PART_ROWS):
            part = search.order[start : start + PART_ROWS]
            found = remember(part, lambda part=part: search.find(part, k, advance))  # type: ignore[misc]
            graph.similarity[part], graph.neighbours[part] = found
            rows.release()


def _open_search(rows: Rows, k: int, seed: int) -> Search:
    if len(rows) <= EXACT_UP_TO or rows.device.type != "cpu":
        return ExactSearch(rows)
    return ListSearch(rows, k, seed)


def _empty_graph(n: int, k: int) -> KnnGraph:
    return KnnGraph(np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32))


def _carry_over(graph: KnnGraph, places: IntArray, n: int, k: int) -> tuple[KnnGraph, npt.NDArray[np.bool_]]:
    """Return the old lists under the new numbers, without the rows that left, and which of the n rows are new."""
    grown, is_new = _empty_graph(n, k), np.ones(n, np.bool_)
    keeps_order = bool((np.diff(places[places >= 0]) > 0).all())
    numbers = np.append(places, -1).astype(np.int32)  # the last one stands for neighbour -1
    for start in range(0, len(places), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        here = places[block] >= 0
        neighbours = numbers[graph.neighbours[block][here]]
        similarity = np.where(neighbours < 0, np.float32(-np.inf), graph.similarity[block][here])
        if not keeps_order or neighbours.min(initial=0) < 0:
            similarity, neighbours = take_best(similarity, neighbours, k)
        at = places[block][here]
        grown.similarity[at], grown.neighbours[at] = similarity, neighbours
        is_new[at] = False
    return grown, is_new


def _offer(
    graph: KnnGraph, rows: IntArray, neighbours: IntArray, similarity: FloatArray, may_take: npt.NDArray[np.bool_]
) -> None:
    """Enter ``rows`` into the lists of those of their neighbours that may take them and list something less similar."""
    k = graph.k
    worst = np.where(graph.neighbours[:, -1] < 0, -np.inf, graph.similarity[:, -1])
    wanted = (neighbours >= 0) & may_take[neighbours] & (similarity > worst[neighbours])
    takers, new, closeness = neighbours[wanted], np.repeat(rows, wanted.sum(axis=1)), similarity[wanted]
    order = np.lexsort((new, -closeness, takers))
    takers, new, closeness = takers[order], new[order], closeness[order]
    lists, first, count = np.unique(takers, return_index=True, return_counts=True)
    rank = np.arange(len(takers)) - np.repeat(first, count)
    fits, line = rank < k, np.repeat(np.arange(len(lists)), count)
    offered = np.full((len(lists), k), -np.inf, np.float32)
    offered_rows = np.full((len(lists), k), -1, np.int32)
    offered[line[fits], rank[fits]], offered_rows[line[fits], rank[fits]] = closeness[fits], new[fits]
    listed = np.where(graph.neighbours[lists] < 0, np.float32(-np.inf), graph.similarity[lists])
    graph.similarity[lists], graph.neighbours[lists] = take_best(
        np.concatenate([listed, offered], axis=1), np.concatenate([graph.neighbours[lists], offered_rows], axis=1), k
    )
