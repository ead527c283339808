"""What running a strategy takes, told before long work; read from the code, held against real runs by a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cost:
    """What a run holds beside the pool and its graph, and does. scripts/check_plan.py compares it with real runs.

    Bytes for each row of the pool: ``row``, and ``per_class``, ``per_neighbour``, ``per_exemplar``, ``per_dim`` times
    as many as the pool has. block: bytes whatever the pool's size; block_per_dim: the same for each dimension.
    products: rows that each row is multiplied with. row_ns, neighbour_ns: nanoseconds for each of them. pick_us:
    microseconds for each pick.
    """

    row: float = 100.0
    per_class: float = 16.0
    per_neighbour: float = 0.0
    per_exemplar: float = 0.0
    per_dim: float = 0.0
    block: float = 40e6
    block_per_dim: float = 0.0
    products: float | Literal["picks", "exemplars"] = 0
    row_ns: float = 300.0
    neighbour_ns: float = 0.0
    pick_us: float = 50.0


USUAL = Cost()
COVERAGE = Cost(row=130, per_neighbour=10, block=180e6, products=2048, neighbour_ns=100, pick_us=1500)
