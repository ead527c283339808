"""The story of `activesel select`: gather, choose, write the batch, record it, draw the report."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.arrays import check_budget
from activesel.pipelines.batch import BatchFile, PickRecord, build_batch, read_batch, store_batch
from activesel.pipelines.choose import Request, choose
from activesel.pipelines.gather import Gathered, SelectRequest, gather
from activesel.pipelines.quotas import parse_quota
from activesel.pipelines.report import write_report_of
from activesel.records import FloatArray, IntArray, Quota
from activesel.strategies import find_strategy
from activesel.workspace import Workspace

__all__ = ["BatchResult", "SelectRequest", "plan_batch", "select_batch"]


@dataclass(frozen=True)
class BatchResult:
    """A finished batch. reused: the same request was answered before, and this is that batch."""

    batch_id: str
    folder: Path
    n_by_kind: dict[str, int]
    strategy: str
    notes: tuple[str, ...]
    picks: tuple[PickRecord, ...]
    seconds: dict[str, float]
    reused: bool = False

    @property
    def n_picks(self) -> int:
        return len(self.picks)


def select_batch(workspace: Workspace, request: SelectRequest) -> BatchResult:
    """Choose a batch and write it to its folder; the caller holds the workspace's lock.

    The folder appears whole, then the catalog records it: a run killed in between is repeated with the same result.

    Raises:
        DataError, UsageError: see `gather` and `choose`.
    """
    clock = _Clock()
    _check_early(workspace, request)
    gathered = gather(workspace, request)
    clock.lap("gather")
    key = _request_key(workspace, request, gathered)
    done = _find_done(workspace, key)
    if done is not None:
        return _result(workspace, done, clock.seconds, reused=True)
    chosen = choose(make_request(workspace, request, gathered))
    clock.lap("choose")
    with Catalog.open(workspace.catalog_path) as catalog:
        batch_id = f"{len(catalog.batches()) + 1:04d}"
    batch = build_batch(workspace, request, gathered, chosen, batch_id, key)
    store_batch(
        workspace, batch, gathered, chosen, lambda folder: write_report_of(workspace, batch, gathered, chosen, folder)
    )
    clock.lap("write")
    kinds = ["train" if pick.kind == "strategy" else pick.kind for pick in batch.picks]
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.add_batch(batch_id, [pick.image_id for pick in batch.picks], kinds, batch.created)
    return _result(workspace, batch, clock.seconds)


def plan_batch(workspace: Workspace, request: SelectRequest) -> dict[str, Any]:
    """Say what select would do, from the catalog alone; writes and embeds nothing."""
    _check_early(workspace, request)
    with Catalog.open(workspace.catalog_path) as catalog:
        rows, labels = catalog.images(request.source), catalog.labels()
        evaluation = catalog.evaluation_ids()
    settings = workspace.config.selection
    labelled = [row for row in rows if row.image_id in labels and row.image_id not in evaluation]
    n_random = {name: round(share * request.budget) for name, share in
                (("explore", settings.explore), ("evaluation", settings.evaluation))}  # fmt: skip
    return {
        "images": len(rows),
        "labelled": len(labelled),
        "classes": dict(Counter(labels[row.image_id].name for row in labelled)),
        "strategy": settings.strategy,
        "budget": request.budget,
        **n_random,
        "folder": str(workspace.batches_dir),
    }


def make_request(workspace: Workspace, request: SelectRequest, gathered: Gathered) -> Request:
    """Turn files and settings into the arrays that `choose` takes."""
    config = workspace.config
    selection = config.selection
    rows, classes = _labelled(gathered)
    predictions = gathered.predictions
    return Request(
        gathered.vectors, request.budget, selection.strategy, tuple(selection.options.items()), config.seed,
        labelled=np.concatenate((rows, gathered.pending)), head_rows=rows, classes=classes,
        n_classes=len(gathered.class_names), class_names=gathered.class_names or None,
        probs=None if predictions is None else predictions.probs,
        mc_probs=None if predictions is None else predictions.mc_probs,
        uncertainty=None if predictions is None else predictions.uncertainty,
        exemplars=gathered.exemplars, candidates=gathered.candidates, held_out=gathered.held_out,
        quotas=_quotas(request, gathered), cost=_cost(request, gathered),
        near_duplicate=config.duplicates.similarity, group_cap=config.duplicates.group_cap,
        explore=selection.explore, evaluation=selection.evaluation, neighbours=selection.neighbours,
    )  # fmt: skip


def _check_early(workspace: Workspace, request: SelectRequest) -> None:
    """Refuse what can be refused before an hour of embedding."""
    check_budget(request.budget)
    settings = workspace.config.selection
    find_strategy(settings.strategy).check_options(settings.options)
    if settings.explore + settings.evaluation > 1:
        raise DataError("explore and evaluation together are more than the budget",
                        found=f"{settings.explore:g} + {settings.evaluation:g}", expected="a sum up to 1")  # fmt: skip
    for path in (request.predictions, request.embeddings, request.ids, request.exemplars):
        if path is not None and not path.exists():
            raise DataError("no such file", where=str(path))


def _labelled(gathered: Gathered) -> tuple[IntArray, IntArray]:
    """Row numbers of the labelled images and the class index of each."""
    index = {name: i for i, name in enumerate(gathered.class_names)}
    pairs = [(i, index[gathered.labels[row.image_id].name]) for i, row in enumerate(gathered.rows)
             if row.image_id in gathered.labels]  # fmt: skip
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _quotas(request: SelectRequest, gathered: Gathered) -> tuple[Quota, ...]:
    quotas = []
    for text in request.quotas:
        column = text.partition("=")[0]
        values: list[str | None] = [row.meta.get(column) for row in gathered.rows]
        if column == "class" and not any(values):
            values = list(_predicted(gathered, text))
        quotas.append(parse_quota(text, values, gathered.candidates, request.budget))
    return tuple(quotas)


def _predicted(gathered: Gathered, text: str) -> list[str]:
    """The likeliest class of each image, from the predictions or from a head on the labels."""
    from activesel.training.head import fit_head

    if gathered.predictions is not None and gathered.predictions.probs is not None:
        probs: FloatArray = gathered.predictions.probs
    else:
        rows, classes = _labelled(gathered)
        if len(np.unique(classes)) < 2:
            raise DataError("a quota per class needs a model", where=text,
                            hint="give labels of two classes or more, or --predictions")  # fmt: skip
        known = np.asarray(gathered.vectors[rows], np.float32)
        probs = fit_head(known, classes, len(gathered.class_names)).probabilities(gathered.vectors)
    names = gathered.class_names or tuple(str(c) for c in range(probs.shape[1]))
    return [names[c] for c in probs.argmax(axis=1)]


def _cost(request: SelectRequest, gathered: Gathered) -> FloatArray | None:
    if request.cost is None:
        return None
    costs = np.empty(len(gathered.rows))
    for i, row in enumerate(gathered.rows):
        text = row.meta.get(request.cost, "")
        try:
            costs[i] = float(text)
        except ValueError:
            costs[i] = np.nan
        if not np.isfinite(costs[i]) or costs[i] <= 0:
            raise DataError(f"column {request.cost} is not a cost", where=row.path, found=repr(text),
                            expected="a number above 0 for every image")  # fmt: skip
    return costs


def _request_key(workspace: Workspace, request: SelectRequest, gathered: Gathered) -> str:
    """Everything that decides the picks, as one hash: the same key means the same batch."""
    asked = asdict(request) | {"command": ""}
    parts = {
        "config": workspace.config.model_dump(mode="json") | {"report": None},
        "asked": {name: str(value) for name, value in asked.items()},
        "inputs": gathered.input_hashes,
        "held_out": gathered.held_out.tolist(),
        "pending": gathered.pending.tolist(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _find_done(workspace: Workspace, key: str) -> BatchFile | None:
    with Catalog.open(workspace.catalog_path) as catalog:
        recorded = [batch.batch_id for batch in catalog.batches()]
    for batch_id in reversed(recorded):
        if (workspace.batches_dir / batch_id / "batch.json").exists():
            batch = read_batch(workspace, batch_id)
            if batch.request_key == key:
                return batch
    return None


def _result(workspace: Workspace, batch: BatchFile, seconds: dict[str, float], *, reused: bool = False) -> BatchResult:
    counts = Counter(pick.kind for pick in batch.picks)
    folder = workspace.batches_dir / batch.batch_id
    return BatchResult(batch.batch_id, folder, dict(counts), batch.strategy, batch.notes, batch.picks, seconds, reused)


class _Clock:
    """Seconds per stage, in the order of the stages."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now
