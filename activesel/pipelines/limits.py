"""Before long work: say what it will use, and refuse what a memory limit does not allow."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from activesel.config import Config
from activesel.errors import UsageError
from activesel.pipelines.machine import TYPICAL, measure_rates, parse_bytes, pick_device, read_memory_limit, show_bytes
from activesel.pipelines.plan import GraphOrigin, Plan, PoolShape, plan_selection
from activesel.pipelines.request import Request, is_cut, wants_graph, wants_groups
from activesel.strategies import Strategy, find_strategy
from activesel.tensors import find_map

_LOG = logging.getLogger(__name__)

LONG_ROWS = 50_000
LONG_S = 10.0
MOST_PARTS = 4096
UNREDUCED_WIDTH = 2672  # of the vectors of the default backbone and pooling


def check_limits(request: Request, strategy: Strategy) -> None:
    """Plan the selection, tell the plan of a long one, and hold it against the memory limit.

    Raises:
        UsageError: more than ``request.memory_limit``; says what would do.
    """
    shape = shape_of(request, strategy)
    plan = plan_selection(shape, strategy, measure_rates(request.device) if shape.n >= LONG_ROWS else TYPICAL)
    if request.memory_limit is not None and plan.peak_bytes > request.memory_limit:
        raise _refusal(plan, shape, strategy, request.memory_limit)
    if shape.n >= LONG_ROWS or plan.seconds > LONG_S:
        _tell(describe_plan(plan))
    free = read_memory_limit()
    if request.memory_limit is None and free is not None and plan.peak_bytes > free:
        _LOG.warning("this selection may need %s and %s are free; %s", show_bytes(plan.peak_bytes), show_bytes(free),
                     suggest_parts(shape, strategy, free) or "a machine with more memory would do")  # fmt: skip


def foresee(config: Config, n: int, n_labelled: int, n_classes: int, n_picks: int) -> Plan:
    """Plan a selection from the settings and what the catalog counts, before there is a vector.

    Raises:
        UsageError: more than the memory limit of the settings.
    """
    strategy, selection = find_strategy(config.selection.strategy), config.selection
    grouped = config.duplicates.group_cap > 0 or selection.evaluation > 0
    is_whole = selection.partitions == 1 or strategy.in_parts == "whole"
    graph: GraphOrigin = "built" if is_whole and (grouped or "graph" in strategy.needs) else "none"
    shape = PoolShape(
        n, selection.components or UNREDUCED_WIDTH, n_picks, mapped=True, neighbours=selection.neighbours,
        n_labelled=n_labelled, n_classes=n_classes if n_classes > 1 else 0, graph=graph, grouped=grouped,
        n_parts=1 if is_whole else selection.partitions,
    )  # fmt: skip
    plan = plan_selection(shape, strategy, measure_rates(pick_device(selection.device, "selection.device")))
    limit = read_limit(config)
    if limit is not None and plan.peak_bytes > limit:
        raise _refusal(plan, shape, strategy, limit)
    return plan


def read_limit(config: Config) -> int | None:
    """Return the bytes that a selection may use by the settings, None where they set no limit."""
    text = config.selection.memory_limit
    return None if text is None else parse_bytes(text, "selection.memory_limit")


def describe_plan(plan: Plan) -> list[str]:
    """Return the plan as a few aligned lines, the whole first."""
    stages = plan.stages[1:]
    width = max(len(stage.name) for stage in stages)
    sizes = [show_bytes(stage.n_bytes) for stage in stages]
    pages = f", and {show_bytes(plan.mapped_bytes)} of a mapped file" if plan.mapped_bytes else ""
    head = f"plan: up to {show_bytes(plan.peak_bytes)} of memory{pages}, about {show_seconds(plan.seconds)}"
    return [head, *(f"  {stage.name:<{width}}  {size:>7}  {show_seconds(stage.seconds):>7}"
                    for stage, size in zip(stages, sizes, strict=True))]  # fmt: skip


def show_seconds(seconds: float) -> str:
    """Write a duration no finer than it is known.

    >>> show_seconds(0.3), show_seconds(42.4), show_seconds(600), show_seconds(9000)
    ('1 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def shape_of(request: Request, strategy: Strategy) -> PoolShape:
    """Return the sizes of what is asked for."""
    n, d = request.vectors.shape
    n_picks = request.budget if request.cost is None else request.budget / float(request.cost.mean())
    graph: GraphOrigin = "none"
    if wants_graph(request, strategy):
        graph = "built" if request.graph is None else "given"
    n_exemplars = 0 if request.exemplars is None else len(request.exemplars)
    if request.focus is not None and request.classes is not None:
        n_exemplars += int((request.classes == request.focus).sum())
    return PoolShape(
        n, d, int(min(n, max(1, n_picks))), request.vectors.dtype.itemsize, find_map(request.vectors) is not None,
        request.neighbours, 0 if request.labelled is None else len(request.labelled),
        _count_classes(request, strategy), request.probs is None and request.mc_probs is None,
        n_exemplars, graph, wants_groups(request),
        request.partitions if is_cut(request, strategy) else 1,
    )  # fmt: skip


def suggest_parts(shape: PoolShape, strategy: Strategy, limit: float) -> str | None:
    """Say the smallest number of parts that fits and what it needs, None where none does."""
    if strategy.in_parts == "whole":
        return None
    n_parts = 2 * shape.n_parts
    # A graph of the whole pool is built for its groups, too, where evaluation images are kept apart: that one stays.
    cut = replace(shape, graph="none")
    while n_parts <= min(MOST_PARTS, shape.n):
        peak = plan_selection(replace(cut, n_parts=n_parts), strategy).peak_bytes
        if peak <= limit:
            return f"--set selection.partitions={n_parts} needs {show_bytes(peak)}"
        n_parts *= 2
    return None


def _refusal(plan: Plan, shape: PoolShape, strategy: Strategy, limit: int) -> UsageError:
    largest = max(plan.stages, key=lambda stage: stage.n_bytes)
    parts = suggest_parts(shape, strategy, limit)
    vectors = shape.n * shape.d * shape.value_bytes
    hints = [f"--memory-limit {show_bytes(plan.peak_bytes).replace(' ', '')} would do"]
    hints += [parts] if parts else []
    if not parts and not shape.mapped and vectors > limit / 4:
        hints += [f"the vectors alone take {show_bytes(vectors)}, and nothing of it as a memory-mapped .npy file"]
    return UsageError("the selection needs more memory than it may use", where="selection.memory_limit",
                      found=f"{show_bytes(plan.peak_bytes)} ({largest.name}, {shape.n:,} x {shape.d})",
                      expected=f"at most {show_bytes(limit)}", hint="; ".join(hints))  # fmt: skip


def _count_classes(request: Request, strategy: Strategy) -> int:
    """Count the columns of the probabilities that there will be, as `choose` finds them; 0 = none."""
    if request.probs is not None:
        return int(request.probs.shape[1])
    if request.mc_probs is not None:
        return int(request.mc_probs.shape[2])
    needs_classes = bool({"probs", "mutual_information"} & strategy.needs)
    if request.uncertainty is not None and not needs_classes:
        return 0
    has_two = request.classes is not None and len(np.unique(request.classes)) > 1
    return request.n_classes if has_two else 0


def _tell(lines: Sequence[str]) -> None:
    """Show on a terminal, as progress does; else leave it to whoever reads the log."""
    if sys.stderr.isatty():
        print("\n".join(lines), file=sys.stderr)
    else:
        _LOG.info("\n".join(lines))
