"""Many small steps on all cores: a thread per core that computes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from activesel.index.codes import use_one_thread
from activesel.tensors import one_thread

T = TypeVar("T")


def run_on_all_cores(step: Callable[[T], None], items: Iterable[T]) -> None:
    """Call ``step`` with every item, on as many threads as torch has; an error in one is raised here.

    Each thread computes with itself alone: threads that share every small step wait for each other, minutes where the
    machine has other work. It also makes a result independent of the number of cores.
    """
    n_threads = torch.get_num_threads()
    with one_thread(), ThreadPoolExecutor(n_threads, initializer=_compute_alone) as pool:
        for _ in pool.map(step, items):
            pass


def _compute_alone() -> None:
    torch.set_num_threads(1)
    use_one_thread()
