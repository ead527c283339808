"""What a selection is asked to do, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from activesel.index import knn_graph
from activesel.journal import Journal, NoJournal
from activesel.records import BoolArray, FloatArray, IntArray, KnnGraph, Quota
from activesel.strategies import Strategy


@dataclass(frozen=True)
class Request:
    """What to choose, all arrays checked. ``around`` a strategy: random shares, caps, costs."""

    vectors: FloatArray  # (n, d) unit rows
    budget: float
    strategy: str = "default"
    options: tuple[tuple[str, object], ...] = ()
    seed: int = 0
    labelled: IntArray | None = None  # rows that are known or on their way: never picked, counted as covered
    head_rows: IntArray | None = None  # those of them that have a class; labelled where None
    classes: IntArray | None = None  # class index of each of head_rows
    n_classes: int = 0
    class_names: tuple[str, ...] | None = None
    probs: FloatArray | None = None
    mc_probs: FloatArray | None = None
    uncertainty: FloatArray | None = None  # (n,) from the boxes or pixels of a detector; else from probs
    exemplars: FloatArray | None = None
    focus: int | None = None  # class index looked for, -1 where no label has it yet; None = the exemplars' is unknown
    candidates: BoolArray | None = None
    held_out: IntArray | None = None  # rows of earlier evaluation draws
    quotas: tuple[Quota, ...] = ()
    cost: FloatArray | None = None
    near_duplicate: float = 0.0  # cosine from which two rows are one group; 0 = no groups
    group_cap: int = 0
    explore: float = 0.0
    evaluation: float = 0.0
    neighbours: int = 32
    graph: KnnGraph | None = None
    # (vectors, k, *, seed) -> KnnGraph; called where graph is None and one is needed
    build_graph: Callable[..., KnnGraph] = knn_graph
    memory_limit: int | None = None  # bytes; None = what there is
    partitions: int = 1  # random parts that are picked from one by one; 1 = the whole pool at once
    device: str = "cpu"  # where products over the vectors are computed: "cpu" or "cuda"
    journal: Journal = field(default_factory=NoJournal)  # where the strategy leaves its state, to be taken up again


def held_out_rows(request: Request) -> IntArray:
    return np.empty(0, np.int64) if request.held_out is None else request.held_out


def is_cut(request: Request, strategy: Strategy) -> bool:
    """Whether the strategy runs in parts of the pool."""
    return request.partitions > 1 and strategy.in_parts != "whole"


def wants_graph(request: Request, strategy: Strategy) -> bool:
    """Whether the whole pool's graph is needed; parts have their own, unless evaluation images are to be kept apart."""
    if is_cut(request, strategy):
        return _keeps_apart(request)
    return "graph" in strategy.needs or wants_groups(request)


def wants_groups(request: Request) -> bool:
    """Whether near-duplicates matter: for the cap, or because evaluation images have to be kept apart from them."""
    return _keeps_apart(request) or (request.near_duplicate > 0 and request.group_cap > 0)


def _keeps_apart(request: Request) -> bool:
    return request.near_duplicate > 0 and (request.evaluation > 0 or len(held_out_rows(request)) > 0)
