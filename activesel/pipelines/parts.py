"""Selection in two rounds: in random parts of the pool, then among what the parts picked. Nothing here reads a file.

GreeDi (Mirzasoleiman et al. 2013, arXiv:1411.0541). docs/planning.md has what it loses against one round, and saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.density import sample_rows
from activesel.duplicates import group_near_duplicates
from activesel.index import knn_graph
from activesel.journal import NoJournal
from activesel.pipelines.caps import cap_groups
from activesel.records import BoolArray, FloatArray, IntArray, Picks, Pool, Quota
from activesel.seeds import derive_rng, derive_seed
from activesel.strategies import Strategy

Rows = npt.NDArray[np.int64]

LAST = -1  # the number of the second round
MOST_OFFERS = 8  # 2 to 5 were needed on 100,000 rows
OFFERED_SHARE = 0.25  # of the budget, by each part, at a time
ROUNDING = 1e-6


@dataclass(frozen=True)
class Rule:
    """How to pick from any part, the same for all of them.

    neighbours: of the graph that a part builds of its own rows. near_duplicate, group_cap: a cap on the groups of that
    graph; 0 where there is none, or where a quota of the pool holds it already.
    """

    strategy: Strategy
    budget: float
    options: tuple[tuple[str, object], ...] = ()
    seed: int = 0
    neighbours: int = 32
    near_duplicate: float = 0.0
    group_cap: int = 0


@dataclass(frozen=True)
class Part:
    """Some rows of a pool, ascending, as a pool of their own. number: decides its random generator, not its turn."""

    number: int
    rows: Rows
    pool: Pool


# (function of a part, parts) -> its results in the order of the parts: built-in map, or a cluster's
MapParts = Callable[[Callable[[Part], Rows], Iterable[Part]], Iterable[Rows]]


def pick_in_parts(pool: Pool, rule: Rule, n_parts: int, map_parts: MapParts = map) -> Picks:
    """Pick the whole budget in each of ``n_parts`` random parts, then again among all these picks.

    Every part holds all labelled rows. In the second round what the parts picked are the candidates, and a random
    sample of about one part's size stands for the pool: it is covered, not picked. Where a strategy's gains compare,
    the parts then offer what would have beaten the last pick, and the second round is repeated with it. Budget, quotas,
    caps and costs are exact. gain: in the second round's terms. Memory: the pool, and one part at a time. Any graph of
    ``pool`` is left aside; parts build their own.
    """
    parts = deal_rows(pool, n_parts, rule.seed)
    pool = replace(pool, reference=_draw_reference(pool, rule.seed))
    union = _join(map_parts(partial(run_part, rule=rule), _cut(pool, parts)))
    sample = derive_rng(rule.seed, "parts-sample").choice(np.concatenate(parts), len(parts[0]), replace=False)
    picks = _pick_among(union, sample, pool, rule)
    if rule.strategy.in_parts != "offers":
        return picks
    for _ in range(MOST_OFFERS):
        known = replace(pool, labelled=np.union1d(pool.labelled, picks.rows))
        least = float(picks.gain.min(initial=np.inf))
        offer = partial(run_part, rule=replace(rule, budget=rule.budget * OFFERED_SHARE), at_least=least)
        better = _join(map_parts(offer, _cut(known, [np.setdiff1d(rows, picks.rows) for rows in parts])))
        if np.isin(better, union).all():
            break
        union = np.union1d(union, better)
        picks = _pick_among(union, sample, pool, rule)
    return picks


def deal_rows(pool: Pool, n_parts: int, seed: int) -> list[Rows]:
    """Deal the rows without a label into at most ``n_parts`` equal parts at random, the first ones larger by one."""
    open_rows = np.setdiff1d(np.arange(pool.n), pool.labelled, assume_unique=True)
    shuffled = derive_rng(seed, "parts").permutation(open_rows)
    return [np.sort(rows) for rows in np.array_split(shuffled, max(1, min(n_parts, len(open_rows))))]


def run_part(part: Part, rule: Rule, at_least: float = -np.inf) -> Rows:
    """Return the rows of the whole pool that the strategy picks in this part, if they gain above ``at_least``."""
    if not part.pool.candidates.any():
        return np.empty(0, np.int64)
    picks = _pick(part, rule)
    return part.rows[picks.rows[picks.gain > at_least + ROUNDING]]


def _pick_among(union: Rows, sample: Rows, pool: Pool, rule: Rule) -> Picks:
    """Pick rows of ``union`` to serve the rows of ``sample`` and their own."""
    candidates = np.zeros(pool.n, dtype=bool)
    candidates[union] = True
    last = _take(pool, LAST, np.union1d(union, sample), candidates)
    if rule.strategy.in_parts == "union":  # what is repeated must not take up the state of the time before
        last = replace(last, pool=replace(last.pool, journal=pool.journal))
    picks = _pick(last, rule)
    return replace(picks, rows=last.rows[picks.rows])


def _draw_reference(pool: Pool, seed: int) -> FloatArray:
    """One sample for all parts: a density by another sample in each would not compare."""
    return np.asarray(pool.vectors[sample_rows(pool.n, derive_rng(seed, "parts-reference"))])


def _join(picked: Iterable[Rows]) -> Rows:
    return np.unique(np.concatenate(list(picked)))


def _pick(part: Part, rule: Rule) -> Picks:
    pool = part.pool
    if "graph" in rule.strategy.needs or rule.group_cap > 0:
        graph_seed = derive_seed(rule.seed, "graph", part.number) % 2**31
        pool = replace(pool, graph=knn_graph(pool.vectors, rule.neighbours, seed=graph_seed, device=pool.device))
    if pool.graph is not None and rule.group_cap > 0:
        cap = cap_groups(group_near_duplicates(pool.graph, rule.near_duplicate), pool.labelled, rule.group_cap)
        pool = replace(pool, quotas=(*pool.quotas, cap))
    rng = derive_rng(rule.seed, "strategy", rule.strategy.name, part.number)
    return rule.strategy.run(pool, rule.budget, rng, **dict(rule.options))


def _cut(pool: Pool, parts: Iterable[Rows]) -> Iterator[Part]:
    """Yield one part after the other, so that one is in memory at a time."""
    for number, rows in enumerate(parts):
        yield _take(pool, number, rows, pool.candidates)


def _take(pool: Pool, number: int, rows: IntArray, candidates: BoolArray) -> Part:
    """Cut ``rows`` and all labelled ones out of everything that the pool says of each row."""
    rows = np.union1d(rows, pool.labelled)
    per_row = {name: getattr(pool, name) for name in ("probs", "mutual_information", "uncertainty", "cost")}
    cut: dict[str, Any] = {name: None if values is None else values[rows] for name, values in per_row.items()}
    cut["quotas"] = tuple(_cut_quota(quota, rows) for quota in pool.quotas)
    vectors, labelled = np.asarray(pool.vectors[rows]), np.searchsorted(rows, pool.labelled)
    part = replace(pool, vectors=vectors, labelled=labelled, candidates=candidates[rows], graph=None,
                   counterexamples=None, journal=NoJournal(), **cut)  # fmt: skip
    return Part(number, rows.astype(np.int64), part)


def _cut_quota(quota: Quota, rows: IntArray) -> Quota:
    """Keep the codes that occur in ``rows``: a cap on groups has about as many as the pool has rows."""
    values, codes = np.unique(quota.codes[rows], return_inverse=True)
    counted = values[values >= 0]
    return Quota(quota.name, codes - int((values < 0).any()), quota.high[counted], quota.low[counted])
