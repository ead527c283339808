"""What a selection will use, memory and time, stage by stage, told before it starts. Arithmetic only.

docs/planning.md says where the figures come from and how far they are off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from activesel.pipelines.machine import TYPICAL, Rates
from activesel.strategies import Strategy

GraphOrigin = Literal["built", "given", "none"]

LIBRARIES = (
    370e6  # Python with numpy, torch, faiss and scipy, and a small selection: measured with scripts/check_plan.py
)
ALLOCATOR = 1.1  # memory is given back in pieces that do not always fit what is asked for next
# activesel.index: exact up to so many rows; above, bytes a row, rows kept at a time, bytes that its threads leave
# behind, seconds a row of 256 numbers.
EXACT_UP_TO, EXACT_BLOCK = 20_000, 150e6
SEARCH_ROW, SEARCH_PART, SEARCH_LEFT, SEARCH_ROW_S = 320.0, 200_000, 180e6, 1e-4
N_FITS, ITERATIONS = 16, 80  # of a linear head: three strengths, five folds, the last; measured means
FOLD_ROWS = 2000
BLOCK_ROWS = 16384  # rows in the largest blocks; a smaller pool needs less
LARGE = 8192  # rows in a block of most products
SHARE_NEAR = 0.25  # of the graph's edges that join near-duplicates: not known before
OFFER_ROUNDS = 3  # that k-center needs in parts


@dataclass(frozen=True)
class PoolShape:
    """The sizes of a selection.

    value_bytes: of one number of the vectors, 2 or 4. mapped: they stay on disk. n_classes: of the probabilities, 0
    without a model. graph: who makes the kNN graph of the whole pool, if anyone. grouped: near-duplicates are grouped.
    model: the probabilities come from a linear head fitted here; else they are given.
    """

    n: int
    d: int
    n_picks: int
    value_bytes: int = 2
    mapped: bool = False
    neighbours: int = 32
    n_labelled: int = 0
    n_classes: int = 0
    model: bool = True
    n_exemplars: int = 0
    graph: GraphOrigin = "none"
    grouped: bool = False
    n_parts: int = 1


@dataclass(frozen=True)
class Stage:
    """n_bytes: resident while it runs, everything included. seconds: by the clock, on a machine that is free."""

    name: str
    n_bytes: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Stages in their order. mapped_bytes: pages of a mapped file on top, which the system takes back when it must."""

    stages: tuple[Stage, ...]
    mapped_bytes: int

    @property
    def peak_bytes(self) -> float:
        return max(stage.n_bytes for stage in self.stages)

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def plan_selection(shape: PoolShape, strategy: Strategy, rates: Rates = TYPICAL) -> Plan:
    """Say what selecting with ``strategy`` from a pool of this shape takes: higher than what it will be, if anything.

    With parts, those are one stage: the peak of one, the time of all.
    """
    held = LIBRARIES + (0 if shape.mapped else shape.n * shape.d * shape.value_bytes)
    stages = [Stage("vectors", held, shape.n * shape.d * shape.value_bytes / rates.copy * 4)]
    held += _given_bytes(shape)
    if shape.n_classes:
        kept, working, seconds = _plan_model(shape, strategy, rates)
        stages.append(Stage("model", held + working, seconds))
        held += kept
    if shape.graph != "none":
        kept, working, seconds = _plan_graph(shape, rates)
        stages.append(Stage("graph", held + working, seconds))
        held += kept
    if shape.n_parts > 1:
        stages += [_stage(held, one) for one in _plan_parts(shape, strategy, rates)]
    else:
        stages.append(_stage(held, _plan_picking(shape, strategy, rates)))
    stages.append(_stage(held, _plan_reasons(shape, rates)))
    mapped = shape.n * shape.d * shape.value_bytes if shape.mapped else 0
    return Plan(tuple(replace(s, n_bytes=LIBRARIES + ALLOCATOR * (s.n_bytes - LIBRARIES)) for s in stages), mapped)


_Use = tuple[str, float, float]  # name, bytes while it runs, seconds


def _stage(held: float, use: _Use) -> Stage:
    return Stage(use[0], held + use[1], use[2])


def _given_bytes(shape: PoolShape) -> float:
    """Masks and numbers of each row, and given probabilities, which were copied when they were checked."""
    return 30.0 * shape.n + (0 if shape.model else 8.0 * shape.n * shape.n_classes)


def _plan_model(shape: PoolShape, strategy: Strategy, rates: Rates) -> tuple[float, float, float]:
    """Bytes kept, bytes while it runs, seconds: a linear head, or eight, and what each row's probabilities become."""
    n, d, m, c = shape.n, shape.d, shape.n_labelled, shape.n_classes
    n_heads = 8 if "mutual_information" in strategy.needs and shape.model else 0
    kept = 4.0 * n * (c if shape.model else 0) + 8.0 * n
    working = kept + 4.0 * n * c + (8.0 * n * n_heads * c * 1.5)
    if not shape.model:
        return kept, working, n * c * 4e-8
    width = min(m, d)
    working += 8.0 * m * (3 * d + width + 5 * c) + 8.0 * d * width + 64e6 * (1 + 3 * min(1.0, c / d))
    fitted = (N_FITS - 1) * min(m, FOLD_ROWS) + (1 + n_heads) * m
    fit_s = ITERATIONS * (4.0 * fitted * width * c / (rates.exact / 25) + (N_FITS + n_heads) * 2e-4)
    score_s = (1 + n_heads) * (2.0 * n * d * c / rates.exact + 12.0 * n * d / rates.copy + n * c * 4e-8)
    return kept, working, fit_s + score_s


def _plan_graph(shape: PoolShape, rates: Rates) -> tuple[float, float, float]:
    """Bytes kept, bytes while it runs, seconds: the graph, built if nobody gave it, and the near-duplicates in it."""
    n, k = shape.n, shape.neighbours
    kept, working, seconds = 8.0 * n * k, 0.0, 0.0
    if shape.graph == "built":
        kept += SEARCH_LEFT * min(1.0, n / EXACT_UP_TO)
        working = SEARCH_ROW * n + 8.0 * k * min(n, SEARCH_PART) if n > EXACT_UP_TO else EXACT_BLOCK * n / EXACT_UP_TO
        seconds = _graph_seconds(n, shape.d, rates)
    if shape.grouped:
        near = SHARE_NEAR * n * k
        working = max(working, n * k + 70.0 * near + 40.0 * n)
        seconds += n * k * 1.5e-8 + near * 3e-7
        kept += 20.0 * n
    return kept, kept + working, seconds


def _graph_seconds(n: int, d: int, rates: Rates) -> float:
    if n <= EXACT_UP_TO:
        return 6.0 * n * n * d / rates.exact
    row_s = SEARCH_ROW_S if n > SEARCH_PART else 1.5 * SEARCH_ROW_S  # small pools get more recall
    return n * row_s * (0.5 + d / 512) * TYPICAL.rough / rates.rough


def _plan_picking(shape: PoolShape, strategy: Strategy, rates: Rates) -> _Use:
    n, d, cost = shape.n, shape.d, strategy.cost
    per_row = (cost.row + cost.per_class * shape.n_classes + cost.per_exemplar * shape.n_exemplars + cost.per_dim * d
               + (cost.per_neighbour * shape.neighbours if "graph" in strategy.needs else 0))  # fmt: skip
    known = 10.0 * d * (shape.n_labelled + shape.n_picks)
    n_bytes = per_row * n + (cost.block + cost.block_per_dim * d) * min(1.0, n / BLOCK_ROWS) + known
    counts = {"picks": shape.n_picks, "exemplars": shape.n_exemplars}
    products = counts[cost.products] if isinstance(cost.products, str) else cost.products
    seconds = (2.0 * n * d * products / rates.rough + 12.0 * n * d / rates.copy + 1e-9 * n * cost.row_ns
               + 1e-9 * n * shape.neighbours * cost.neighbour_ns + 1e-6 * shape.n_picks * cost.pick_us)  # fmt: skip
    return f"pick by {strategy.name}", n_bytes, seconds


def _plan_parts(shape: PoolShape, strategy: Strategy, rates: Rates) -> list[_Use]:
    """One part after the other, then what they picked beside a sample as large as a part."""
    rest = max(1, shape.n - shape.n_labelled)
    size = math.ceil(rest / min(shape.n_parts, rest))
    n_parts = math.ceil(rest / size)
    union = min(rest, n_parts * min(size, shape.n_picks))
    last = min(rest, union + size)
    first_use = _plan_part(shape, size, strategy, rates)
    last_use = _plan_part(shape, last, strategy, rates)
    rounds = OFFER_ROUNDS if strategy.in_parts == "offers" else 0
    return [
        (f"pick in {n_parts} parts", first_use[0], n_parts * first_use[1] * (1 + rounds)),
        ("pick among their picks", last_use[0], last_use[1] * (1 + rounds)),
    ]


def _plan_part(shape: PoolShape, size: int, strategy: Strategy, rates: Rates) -> tuple[float, float]:
    """Bytes and seconds of a part of ``size`` rows beside the labelled ones: a copy of them, its graph, its picks."""
    part = replace(shape, n=size + shape.n_labelled, n_picks=min(size, shape.n_picks), n_parts=1)
    held = part.n * (part.d * part.value_bytes + 4.0 * part.n_classes + 60.0)
    grouped = shape.grouped and shape.graph == "none"
    uses = [(0.0, 0.0)]
    if grouped or "graph" in strategy.needs:
        kept, working, seconds = _plan_graph(replace(part, graph="built", grouped=grouped), rates)
        uses = [(working, seconds)]
        held += kept
    _, picking, seconds = _plan_picking(part, strategy, rates)
    return held + max(uses[0][0], picking), uses[0][1] + seconds


def _plan_reasons(shape: PoolShape, rates: Rates) -> _Use:
    """What each pick stands for and how far it is from the labels: two passes over the pool."""
    n, d, b, m = shape.n, shape.d, shape.n_picks, shape.n_labelled
    blocks = 2.0 * LARGE * (3 * d + 2048) + 4.0 * LARGE * (b + m) / 32
    pairs = 8.0 * min(b, LARGE) * min(m, 4096) + 8.0 * 1024 * b
    n_bytes = 60.0 * n + 40e6 + blocks + pairs + (b + m) * 8.0 * d + 1000.0 * b
    seconds = 2.2 * n * d * (b + m) / rates.rough + 20.0 * n * d / rates.copy + n * (b + m) * 4e-10 + b * 1e-4
    return "reasons", n_bytes, seconds
