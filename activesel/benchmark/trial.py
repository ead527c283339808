"""One strategy on one split: label a batch, fit the head, score it, again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from activesel.benchmark.dataset import Dataset, Split
from activesel.benchmark.scores import score_model
from activesel.errors import DataError
from activesel.index import knn_graph
from activesel.pipelines.choose import choose
from activesel.pipelines.request import Request
from activesel.projection import apply_directions, fit_directions
from activesel.records import FloatArray, IntArray, KnnGraph
from activesel.seeds import derive_rng, derive_seed
from activesel.strategies import find_strategy
from activesel.training.head import DEFAULT_STRENGTH, fit_head

Start = Literal["none", "one-per-class", "random"]
Head = Literal["tuned", "fixed"]
NEIGHBOURS = 32


@dataclass(frozen=True)
class Protocol:
    """start: what is labelled before the first batch: nothing, one image of each class, or a random batch.
    components: that vectors are reduced to, by directions fitted on the pool half alone; 0 = not reduced.
    head: its strength and temperature tuned on folds of the labels at hand, or fixed.
    """

    batch: int = 20
    rounds: int = 8
    start: Start = "none"
    components: int = 128
    head: Head = "tuned"


@dataclass(frozen=True)
class Round:
    """What a strategy is shown before each batch.

    vectors: (p, d) unit rows of the pool half. labelled: (m,) rows of it. classes: (m,) of those. probs: (p, c) of the
    head on these labels, None where there is none yet. graph: over the pool half.
    """

    vectors: FloatArray
    labelled: IntArray
    classes: IntArray
    probs: FloatArray | None
    graph: KnnGraph
    n_classes: int
    batch: int
    seed: int


Chooser = Callable[[Round], IntArray]


@dataclass(frozen=True)
class Curve:
    """labels: (r,) how many at each point. scores: name -> (r,) on the test half. rows: chosen, in their order."""

    labels: IntArray
    scores: dict[str, FloatArray]
    rows: IntArray


@dataclass(frozen=True)
class Bench:
    """A split made ready once for all strategies that are run on it."""

    pool: FloatArray
    test: FloatArray
    pool_classes: IntArray
    test_classes: IntArray
    n_classes: int
    graph: KnnGraph
    seed: int


def make_bench(dataset: Dataset, split: Split, protocol: Protocol, seed: int) -> Bench:
    """Reduce the vectors by what the pool half knows, and connect its neighbours.

    Raises:
        DataError: a pool half too small for the protocol.
    """
    check_size(dataset, split, protocol)
    pool = np.asarray(dataset.vectors[split.pool], np.float32)
    test = np.asarray(dataset.vectors[split.test], np.float32)
    if 0 < protocol.components < min(pool.shape):
        directions = fit_directions(pool, protocol.components)
        pool, test = (apply_directions(half, directions).astype(np.float32) for half in (pool, test))
    classes = dataset.classes
    graph = knn_graph(pool, min(NEIGHBOURS, len(pool) - 1), seed=seed)
    return Bench(pool, test, classes[split.pool], classes[split.test], len(dataset.class_names), graph, seed)


def check_size(dataset: Dataset, split: Split, protocol: Protocol) -> None:
    """Refuse a pool half too small for the protocol.

    Raises:
        DataError: as said.
    """
    at_start = {"none": 0, "one-per-class": len(dataset.class_names), "random": protocol.batch}[protocol.start]
    asked = at_start + protocol.batch * protocol.rounds
    if len(split.pool) < asked:
        raise DataError("the pool half is smaller than the batches", found=f"{len(split.pool)} images",
                        expected=f"{asked} or more", hint="lower --batch or --rounds")  # fmt: skip


def run_trial(bench: Bench, chooser: Chooser, protocol: Protocol) -> Curve:
    """Return the learning curve of one strategy; all strategies of one bench start from the same labels."""
    labelled = _start(bench, protocol)
    points: list[dict[str, float]] = []
    labels: list[int] = []
    probs = None
    if len(labelled):
        probs = _learn(bench, protocol, labelled, labels, points)
    for number in range(protocol.rounds):
        shown = Round(bench.pool, labelled, bench.pool_classes[labelled], probs, bench.graph, bench.n_classes,
                      protocol.batch, derive_seed(bench.seed, "benchmark", "round", number) % 2**31)  # fmt: skip
        labelled = np.concatenate([labelled, _check(chooser(shown), shown)])
        probs = _learn(bench, protocol, labelled, labels, points)
    scores = {name: np.array([point[name] for point in points], np.float32) for name in points[0]}
    return Curve(np.array(labels), scores, labelled)


def needs_model(strategy: str) -> bool:
    """Whether a strategy of ours cannot pick without a model."""
    return bool(find_strategy(strategy).needs - {"graph"})


def choose_with(strategy: str, options: Sequence[tuple[str, object]] = ()) -> Chooser:
    """Return what picks with one of our strategies as `activesel.select` does, on the labels and model of the round.

    One that needs a model picks at random, as the reference does, until labels of two classes make one. One that needs
    a committee has it fitted to the same labels.
    """
    has_committee = "mutual_information" in find_strategy(strategy).needs

    def pick(shown: Round) -> IntArray:
        is_blind = needs_model(strategy) and shown.probs is None
        request = Request(
            shown.vectors, shown.batch, "random" if is_blind else strategy,
            () if is_blind else tuple(options), shown.seed, labelled=shown.labelled,
            classes=shown.classes, n_classes=shown.n_classes, graph=shown.graph,
            probs=None if has_committee else shown.probs,
        )  # fmt: skip
        return choose(request).picks.rows

    return pick


def _start(bench: Bench, protocol: Protocol) -> IntArray:
    rng = derive_rng(bench.seed, "benchmark", "start")
    if protocol.start == "one-per-class":
        return np.array([rng.choice(np.flatnonzero(bench.pool_classes == c)) for c in range(bench.n_classes)])
    if protocol.start == "random":
        return rng.choice(len(bench.pool), protocol.batch, replace=False)
    return np.empty(0, np.int64)


def _learn(
    bench: Bench, protocol: Protocol, labelled: IntArray, labels: list[int], points: list[dict[str, float]]
) -> FloatArray | None:
    """Fit the head, note its scores, and return its probabilities on the pool; None from labels of one class."""
    classes = bench.pool_classes[labelled]
    strength = DEFAULT_STRENGTH if protocol.head == "fixed" else None
    head = fit_head(bench.pool[labelled], classes, bench.n_classes, seed=bench.seed, strength=strength)
    labels.append(len(labelled))
    found = {"classes_found": float(len(np.unique(classes)))}
    points.append(score_model(head.probabilities(bench.test), bench.test_classes) | found)
    return head.probabilities(bench.pool) if len(np.unique(classes)) > 1 else None


def _check(rows: IntArray, shown: Round) -> IntArray:
    """Return a batch that is one: a chooser from elsewhere may answer with anything."""
    rows = np.asarray(rows)
    is_whole = rows.shape == (shown.batch,) and len(np.unique(rows)) == shown.batch
    if not is_whole or np.isin(rows, shown.labelled).any() or rows.min() < 0 or rows.max() >= len(shown.vectors):
        raise DataError("a strategy did not give a batch of new rows",
                        found=f"{rows.shape}, {len(np.unique(rows))} distinct",
                        expected=f"{shown.batch} rows without a label")  # fmt: skip
    return rows.astype(np.int64)
