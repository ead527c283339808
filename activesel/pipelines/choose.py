"""From checked arrays to a batch: model, graph, caps, random shares, strategy, reasons; where they all meet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from activesel.duplicates import group_near_duplicates
from activesel.errors import DataError, UsageError
from activesel.nearest import find_nearest, find_nearest_k, to_distance
from activesel.pipelines.caps import cap_groups
from activesel.pipelines.draws import Draws, Shares, draw_random_shares
from activesel.pipelines.limits import check_limits
from activesel.pipelines.parts import Rule, pick_in_parts
from activesel.pipelines.request import Request, held_out_rows, is_cut, wants_graph, wants_groups
from activesel.reasons import Evidence, Kind, explain
from activesel.records import FloatArray, IntArray, Picks, Pool, Quota
from activesel.seeds import derive_rng, derive_seed
from activesel.strategies import Strategy, find_strategy
from activesel.training.head import committee_probabilities, fit_committee, fit_head
from activesel.uncertainty import score_bald, score_margin

COMMITTEE_SIZE = 8


@dataclass(frozen=True)
class Chosen:
    """A batch with what a report needs. kinds: per pick strategy, explore or evaluation. groups: (n,) or None.

    nearest_label: (n,) cosine to the nearest row that is labelled or on its way, None where there is none.
    nearest_known: the same with picks.
    """

    picks: Picks
    kinds: tuple[Kind, ...]
    pool: Pool
    groups: IntArray | None
    nearest_label: FloatArray | None
    nearest_known: FloatArray


def choose(request: Request) -> Chosen:
    """Choose a batch.

    Raises:
        UsageError: an unknown strategy or option, one that needs what is not there, or more memory than the limit.
        DataError: a budget that the candidates cannot meet.
    """
    strategy = find_strategy(request.strategy)
    strategy.check_options(dict(request.options))
    check_limits(request, strategy)
    pool, notes = _make_pool(request, strategy)
    _check_needs(pool, strategy, request)
    _check_budget(request, pool)
    groups = _group(pool, request)
    shares = Shares(request.budget, request.explore, request.evaluation, request.seed, request.cost)
    draws = draw_random_shares(shares, pool.candidates, pool.labelled, held_out_rows(request), groups)
    setting = _Setting(strategy, request, pool, groups, draws)
    picks = _run(setting)
    return _finish(setting, replace(picks, notes=(*notes, *draws.notes, *picks.notes)))


@dataclass(frozen=True)
class _Setting:
    """What the strategy is run in: the pool, its near-duplicate groups, and what was drawn before."""

    strategy: Strategy
    request: Request
    pool: Pool
    groups: IntArray | None
    draws: Draws


def _make_pool(request: Request, strategy: Strategy) -> tuple[Pool, list[str]]:
    labelled = np.empty(0, np.int64) if request.labelled is None else np.asarray(request.labelled, np.int64)
    candidates = np.ones(len(request.vectors), bool) if request.candidates is None else request.candidates.copy()
    candidates[labelled] = False
    candidates[held_out_rows(request)] = False
    probs, mutual_information, notes = _model(request, strategy)
    uncertainty = request.uncertainty
    if uncertainty is None and probs is not None:
        uncertainty = score_margin(probs)
    exemplars, counterexamples = _look_for(request, labelled)
    if exemplars is not None and "exemplars" not in strategy.needs | strategy.uses:
        notes.append(f"the exemplars were not looked at: strategy {strategy.name} has no use for them, focus has")
    graph = request.graph
    if graph is None and wants_graph(request, strategy):
        graph = request.build_graph(
            request.vectors, request.neighbours, seed=derive_seed(request.seed, "graph") % 2**31, device=request.device
        )
    pool = Pool(request.vectors, labelled, candidates, request.classes, probs, mutual_information, uncertainty, graph,
                exemplars, request.quotas, request.cost, request.device, request.journal, counterexamples)  # fmt: skip
    return pool, notes


def _look_for(request: Request, labelled: IntArray) -> tuple[FloatArray | None, IntArray | None]:
    """Return the exemplars, images labelled as the focus among them, and the rows that are labelled otherwise."""
    if request.focus is None or request.classes is None:
        return request.exemplars, None
    rows = labelled if request.head_rows is None else request.head_rows
    is_it = request.classes == request.focus
    found = np.asarray(request.vectors[rows[is_it]])
    if request.exemplars is not None:
        found = np.concatenate((np.asarray(request.exemplars, found.dtype), found))
    return found if len(found) else None, rows[~is_it]


def _model(request: Request, strategy: Strategy) -> tuple[FloatArray | None, FloatArray | None, list[str]]:
    """Probabilities and BALD: the user's, or a linear head's on the labels at hand; None at a cold start.

    Where the user's model gives an uncertainty alone, it is not mixed with a head's unless the strategy needs classes.
    """
    bald = None if request.mc_probs is None else score_bald(request.mc_probs)
    if request.probs is not None:
        return request.probs, bald, []
    if request.mc_probs is not None:
        return request.mc_probs.mean(axis=1), bald, []
    needs_classes = bool({"probs", "mutual_information"} & strategy.needs)
    if request.uncertainty is not None and not needs_classes:
        return None, bald, []
    rows = request.labelled if request.head_rows is None else request.head_rows
    if rows is None or request.classes is None or not len(request.classes):
        return None, bald, []
    if len(np.unique(request.classes)) < 2:
        return None, bald, ["all labels so far are of one class, so there is no model yet: picked as at a cold start"]
    if "mutual_information" in strategy.needs:
        known = np.asarray(request.vectors[rows], dtype=np.float32)
        heads = fit_committee(known, request.classes, request.n_classes, COMMITTEE_SIZE, _head_seed(request.seed))
        bald = score_bald(committee_probabilities(heads, request.vectors))
    probs = fit_probabilities(request.vectors, rows, request.classes, request.n_classes, request.seed)
    notes = ["the predictions hold no class probabilities: they come from a linear head on the labels"]
    return probs, bald, notes if request.uncertainty is not None else []


def fit_probabilities(vectors: FloatArray, rows: IntArray, classes: IntArray, n_classes: int, seed: int) -> FloatArray:
    """Return (n, c) probabilities of a linear head on the labelled ``rows`` (m,) of the pool and their classes (m,)."""
    head = fit_head(np.asarray(vectors[rows], dtype=np.float32), classes, n_classes, seed=_head_seed(seed))
    return head.probabilities(vectors)


def _head_seed(seed: int) -> int:
    return derive_seed(seed, "head") % 2**31


_REMEDY = {
    "probs": "give labels of two classes or more, or --predictions",
    "mutual_information": "give --predictions with mc_probs, or labels of two classes or more without --predictions",
    "exemplars": "give --exemplars, or --focus with a class that has labels",
    "uncertainty": "give labels of two classes or more, or --predictions",
}


def _check_needs(pool: Pool, strategy: Strategy, request: Request) -> None:
    for need in sorted(strategy.needs - {"graph"}):
        if getattr(pool, need) is None:
            found = f"{0 if request.classes is None else len(request.classes)} labels" if need != "exemplars" else None
            raise UsageError(f"strategy {strategy.name} needs {need.replace('_', ' ')}", found=found,
                             hint=f"{_REMEDY[need]}; or start with --strategy default")  # fmt: skip


def _check_budget(request: Request, pool: Pool) -> None:
    n_open = int(pool.candidates.sum())
    if n_open == 0:
        raise DataError("nothing left to pick", found=f"{len(pool.labelled)} of {pool.n} images known already",
                        hint="add images with `activesel ingest` or loosen the filter")  # fmt: skip
    if request.cost is None and request.budget > n_open:
        raise DataError(f"budget {int(request.budget)} is more than the {n_open} images that may be picked",
                        hint="lower --budget, or run `activesel ingest` with more images")  # fmt: skip
    if request.cost is not None and request.budget < request.cost[pool.candidates].min():
        raise DataError(f"budget {request.budget:g} does not pay for one image", expected="at least "
                        f"{request.cost[pool.candidates].min():g}, the cheapest image's cost")  # fmt: skip


def _group(pool: Pool, request: Request) -> IntArray | None:
    if pool.graph is None or not wants_groups(request):
        return None
    groups: IntArray = group_near_duplicates(pool.graph, request.near_duplicate)
    return groups


def _run(setting: _Setting) -> Picks:
    """Run the strategy on what the random shares leave: explored rows count as known, evaluation rows do not exist."""
    request, pool, groups, draws = setting.request, setting.pool, setting.groups, setting.draws
    candidates = pool.candidates.copy()
    candidates[draws.rows] = False
    quotas = [_reduce_quota(quota, draws.rows) for quota in pool.quotas]
    known = np.concatenate((pool.labelled, draws.explore))
    if groups is not None:
        candidates[np.isin(groups, groups[np.union1d(draws.evaluation, held_out_rows(request))])] = False
        if request.group_cap > 0:
            quotas.append(cap_groups(groups, known, request.group_cap))
    spent = float(len(draws.rows)) if request.cost is None else float(request.cost[draws.rows].sum())
    nothing = Picks(np.empty(0, np.int64), np.empty(0))
    if request.budget - spent <= 0:
        return nothing
    if not candidates.any():
        kept_apart = pool.candidates.sum() > len(draws.rows)
        note = "no pick by the strategy: every image left is a near-duplicate of an evaluation image"
        return replace(nothing, notes=(note,) if kept_apart else ())
    rest = replace(pool, candidates=candidates, labelled=known, quotas=tuple(quotas))
    return _pick(setting, rest, request.budget - spent)


def _pick(setting: _Setting, pool: Pool, budget: float) -> Picks:
    """Pick from the whole pool at once, or in parts; those group near-duplicates themselves where nobody has yet."""
    request, strategy = setting.request, setting.strategy
    if is_cut(request, strategy):
        cap = request.group_cap if setting.groups is None and request.near_duplicate > 0 else 0
        rule = Rule(strategy, budget, request.options, request.seed, request.neighbours, request.near_duplicate, cap)
        return pick_in_parts(pool, rule, request.partitions)
    return strategy.run(pool, budget, derive_rng(request.seed, "strategy", strategy.name), **dict(request.options))


def _reduce_quota(quota: Quota, drawn: IntArray) -> Quota:
    codes = quota.codes[drawn]
    taken = np.bincount(codes[codes >= 0], minlength=len(quota.high))
    return replace(quota, high=np.maximum(quota.high - taken, 0), low=np.maximum(quota.low - taken, 0))


def _finish(setting: _Setting, picks: Picks) -> Chosen:
    """Join the shares, find what each pick stands for, and say why it was picked."""
    request, pool, draws = setting.request, setting.pool, setting.draws
    rows = np.concatenate((picks.rows, draws.explore, draws.evaluation))
    n_random = len(draws.explore) + len(draws.evaluation)
    shares: tuple[tuple[Kind, int], ...] = (
        ("strategy", len(picks.rows)), ("explore", len(draws.explore)), ("evaluation", len(draws.evaluation)),
    )  # fmt: skip
    kinds = tuple(kind for kind, count in shares for _ in range(count))
    propensity = np.concatenate((
        np.full(len(picks.rows), np.nan), np.full(len(draws.explore), draws.explore_chance),
        np.full(len(draws.evaluation), draws.evaluation_chance),
    ))  # fmt: skip
    nearest_label = find_nearest(pool.vectors, pool.labelled, pool.device)[0] if len(pool.labelled) else None
    nearest_pick, stands_for = find_nearest(pool.vectors, rows, pool.device)
    if nearest_label is not None:
        stands_for = np.where(nearest_label > nearest_pick, -1, stands_for).astype(np.int32)
        stands_for[rows] = np.arange(len(rows))
    evidence = Evidence(
        kinds, None if pool.probs is None else pool.probs[rows], request.class_names,
        np.bincount(stands_for[stands_for >= 0], minlength=len(rows)), propensity,
        _distance_to_labels(request, pool, rows), _distance_to_earlier(pool.vectors, rows),
    )  # fmt: skip
    reasons = explain(setting.strategy.lead, evidence)
    done = Picks(rows, np.concatenate((picks.gain, np.zeros(n_random))), reasons, propensity, stands_for,
                 (*picks.notes, *_tell_quotas(pool.quotas, rows)))  # fmt: skip
    nearest_known = nearest_pick if nearest_label is None else np.maximum(nearest_pick, nearest_label)
    return Chosen(done, kinds, pool, setting.groups, nearest_label, nearest_known)


def _tell_quotas(quotas: tuple[Quota, ...], rows: IntArray) -> list[str]:
    notes = []
    for quota in quotas:
        codes = quota.codes[rows]
        taken = np.bincount(codes[codes >= 0], minlength=len(quota.high))
        short, over = np.maximum(quota.low - taken, 0).sum(), np.maximum(taken - quota.high, 0).sum()
        if short:
            notes.append(f"{quota.name}: {short} fewer than its minimums ask for, all that pool, caps and budget allow")
        if over:
            notes.append(f"{quota.name}: {over} above its limits, because random shares are drawn from all alike")
    return notes


def _distance_to_labels(request: Request, pool: Pool, rows: IntArray) -> FloatArray | None:
    """Return each pick's distance to the nearest image that has a label, (b,); images on their way have none yet."""
    labelled = pool.labelled if request.head_rows is None else request.head_rows
    return to_distance(find_nearest_k(pool.vectors, rows, labelled, 1)[:, 0]) if len(labelled) else None


def _distance_to_earlier(vectors: FloatArray, rows: IntArray) -> FloatArray:
    """Return each pick's distance to the nearest pick before it, (b,), inf for the first; block by block."""
    picked = np.asarray(vectors[rows], dtype=np.float32)
    nearest = np.full(len(rows), -np.inf, np.float32)
    for start in range(1, len(rows), 1024):
        block = np.arange(start, min(start + 1024, len(rows)))
        cosine = picked[block] @ picked[: block[-1]].T
        cosine[np.arange(len(block))[:, None] + start <= np.arange(block[-1])[None, :]] = -np.inf
        nearest[block] = cosine.max(axis=1)
    return to_distance(nearest)
