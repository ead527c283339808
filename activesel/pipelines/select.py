"""The story of `activesel select`: gather, choose, write the batch, record it, draw the report."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog, Column, order_column
from activesel.errors import DataError, UsageError
from activesel.journal import Journal
from activesel.pipelines.arrays import check_budget
from activesel.pipelines.batch import build_batch, store_batch
from activesel.pipelines.batch_file import BatchFile, PickRecord, read_batch, read_head
from activesel.pipelines.checkpoint import keep_journal
from activesel.pipelines.choose import choose, fit_probabilities
from activesel.pipelines.clock import Clock
from activesel.pipelines.draws import count_random_shares
from activesel.pipelines.exemplars import check_focus
from activesel.pipelines.gather import Gathered, SelectRequest, check_metadata, gather, read_catalog
from activesel.pipelines.graph import keep_graph
from activesel.pipelines.limits import foresee, read_limit
from activesel.pipelines.machine import pick_device
from activesel.pipelines.quotas import parse_quota, read_cost
from activesel.pipelines.report import write_report_of
from activesel.pipelines.request import Request
from activesel.records import FloatArray, KnnGraph, Quota
from activesel.strategies import find_strategy
from activesel.training.outlook import Worth
from activesel.workspace import Workspace

_LOG = logging.getLogger(__name__)

__all__ = ["BatchResult", "SelectRequest", "plan_batch", "select_batch"]


@dataclass(frozen=True)
class BatchResult:
    """A finished batch. worth, worth_text: what it is expected to bring, as in its file.

    reused: the same request was answered before, and this is that batch.
    """

    batch_id: str
    folder: Path
    n_by_kind: dict[str, int]
    strategy: str
    notes: tuple[str, ...]
    worth: Worth | None
    worth_text: str
    picks: tuple[PickRecord, ...]
    seconds: dict[str, float]
    reused: bool = False

    @property
    def n_picks(self) -> int:
        return len(self.picks)


def select_batch(workspace: Workspace, request: SelectRequest) -> BatchResult:
    """Choose a batch and write it to its folder; the caller holds the workspace's lock.

    The folder appears whole, then the catalog records it: a run killed in between is repeated with the same result.
    The same request on the same images, labels and files is the batch it was; another seed gives another batch.

    Raises:
        DataError, UsageError: see `gather` and `choose`.
    """
    clock = Clock()
    _check_early(workspace, request)
    gathered = gather(workspace, request, clock.lap)
    key = _request_key(workspace, request, gathered)
    done = _find_done(workspace, key, gathered)
    if done is not None:
        return _result(workspace, done, clock.seconds, reused=True)
    with Catalog.open(workspace.catalog_place) as catalog:
        earlier = catalog.batches.ids()
    # Earlier batches decide what is known, so a checkpoint from before the last of them is another selection's.
    with keep_journal(workspace, [key, earlier], int(min(request.budget, len(gathered.images)))) as journal:
        chosen = choose(make_request(workspace, request, gathered, clock, journal))
    clock.lap("choose")
    batch_id = f"{len(earlier) + 1:04d}"
    batch = build_batch(workspace, request, gathered, chosen, batch_id, key)
    clock.lap("worth")

    def write_report(folder: Path) -> None:
        clock.lap("write")
        write_report_of(workspace, batch, gathered, chosen, folder)

    store_batch(workspace, batch, gathered, chosen, write_report)
    clock.lap("report")
    kinds = ["train" if pick.kind == "strategy" else pick.kind for pick in batch.picks]
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.batches.add(batch_id, [pick.image_id for pick in batch.picks], kinds, batch.created)
    return _result(workspace, batch, clock.seconds)


def plan_batch(workspace: Workspace, request: SelectRequest) -> dict[str, Any]:
    """Say what select would do, from the catalog alone; writes and embeds nothing.

    Raises:
        DataError, UsageError: what can be told without vectors and predictions.
    """
    _check_early(workspace, request)
    known = None
    if workspace.has_catalog:  # opening it would make one
        known = read_catalog(workspace, request.source)
    settings = workspace.config.selection
    shares = (settings.explore, settings.evaluation)
    drawn: Sequence[float] = count_random_shares(request.budget, *shares)
    if request.cost is not None:
        drawn = [share * request.budget for share in shares]
    labels = known.label_names if known is not None else ()
    check_focus(request.focus, request.exemplars, labels)
    plan = {}
    if known is not None and len(known.images):
        n_known = len(labels) + len(known.waiting)
        plan["plan"] = foresee(workspace.config, len(known.images), n_known, len(set(labels)), int(request.budget))
    return {
        "images": len(known.images) if known is not None else 0,
        "labelled": len(labels),
        "candidates": int(check_metadata(known, request).sum()) if known is not None and len(known.images) else 0,
        "classes": dict(Counter(labels)),
        "strategy": settings.strategy,
        "budget": int(request.budget) if request.cost is None else request.budget,
        "explore": drawn[0],
        "evaluation": drawn[1],
        "folder": str(workspace.batches_dir),
        **plan,
    }


def make_request(
    workspace: Workspace, request: SelectRequest, gathered: Gathered, clock: Clock, journal: Journal
) -> Request:
    """Turn files and settings into the arrays that `choose` takes."""
    config = workspace.config
    selection = config.selection

    def build_graph(vectors: FloatArray, k: int, **options: Any) -> KnnGraph:
        with clock.pause("graph"):
            return keep_graph(workspace, gathered.space.identity, gathered.images.ids, vectors, k, **options)

    predictions = gathered.predictions
    return Request(
        gathered.vectors, request.budget, selection.strategy, tuple(selection.options.items()), config.seed,
        labelled=np.concatenate((gathered.labelled, gathered.pending)), head_rows=gathered.labelled,
        classes=gathered.classes,
        n_classes=len(gathered.class_names), class_names=gathered.class_names or None,
        probs=None if predictions is None else predictions.probs,
        mc_probs=None if predictions is None else predictions.mc_probs,
        uncertainty=None if predictions is None else predictions.uncertainty,
        exemplars=gathered.exemplars, focus=_find_class(request.focus, gathered.class_names),
        candidates=gathered.candidates, held_out=gathered.held_out,
        quotas=_quotas(request, gathered, config.seed),
        cost=None if request.cost is None else read_cost(gathered.images, request.cost, gathered.may_be_picked),
        near_duplicate=config.duplicates.similarity, group_cap=config.duplicates.group_cap,
        explore=selection.explore, evaluation=selection.evaluation, neighbours=selection.neighbours,
        build_graph=build_graph, partitions=selection.partitions, journal=journal,
        device=pick_device(selection.device, "selection.device"),
        memory_limit=read_limit(config),
    )  # fmt: skip


def _check_early(workspace: Workspace, request: SelectRequest) -> None:
    """Refuse what can be refused before an hour of embedding."""
    check_budget(request.budget, whole=request.cost is None)
    settings = workspace.config.selection
    pick_device(settings.device, "selection.device")
    read_limit(workspace.config)
    find_strategy(settings.strategy).check_options(settings.options)
    try:
        json.dumps(settings.options, allow_nan=False, default=str)
    except ValueError:
        raise DataError("an option is not a finite number", where="selection.options",
                        found=str(settings.options)) from None  # fmt: skip
    if settings.explore + settings.evaluation > 1:
        raise DataError("explore and evaluation together are more than the budget",
                        found=f"{settings.explore:g} + {settings.evaluation:g}", expected="a sum up to 1")  # fmt: skip
    if (request.embeddings is None) != (request.ids is None):
        raise UsageError("--embeddings and --ids belong together",
                         found="--ids alone" if request.embeddings is None else "--embeddings alone",
                         expected="an .npy file, and a text file with one image id or path per row")  # fmt: skip
    for path in (request.predictions, request.embeddings, request.ids, request.exemplars):
        if path is not None and not path.exists():
            raise DataError("no such file", where=str(path))


def _find_class(name: str | None, class_names: Sequence[str]) -> int | None:
    """Return its index, -1 where no label has it yet."""
    if name is None:
        return None
    return class_names.index(name) if name in class_names else -1


def _quotas(request: SelectRequest, gathered: Gathered, seed: int) -> tuple[Quota, ...]:
    quotas = []
    n_images = request.budget if request.cost is None else None
    for text in request.quotas:
        name = text.partition("=")[0]
        column = gathered.images.column(name)
        if name == "class" and not column.values:
            column = _predicted(gathered, text, seed)
        quotas.append(parse_quota(text, column, gathered.may_be_picked, n_images))
    return tuple(quotas)


def _predicted(gathered: Gathered, text: str, seed: int) -> Column:
    """The likeliest class of each image, from the predictions or from a head on the labels."""
    probs = None if gathered.predictions is None else gathered.predictions.probs
    names = gathered.class_names
    if probs is None:
        if len(np.unique(gathered.classes)) < 2:
            raise DataError("a quota per class needs a model", where=text,
                            hint="give labels of two classes or more, or --predictions")  # fmt: skip
        probs = fit_probabilities(gathered.vectors, gathered.labelled, gathered.classes, len(names), seed)
    return order_column(probs.argmax(axis=1), names)


def _request_key(workspace: Workspace, request: SelectRequest, gathered: Gathered) -> str:
    """What was asked of which images, labels and files, as one hash: the same key means the same batch.

    Earlier batches are left out: they decide the picks, too, but the batch of this request is among them when the same
    command runs again, be it by mistake or after a crash.
    """
    asked = asdict(request) | {"command": "", "budget": float(request.budget)}
    config = workspace.config.model_dump(mode="json")
    for name in ("device", "memory_limit"):  # how it is computed, not what
        del config["selection"][name]
    parts = {
        "config": {name: config[name] for name in ("seed", "duplicates", "selection", "scores")},
        "asked": {name: str(value) for name, value in asked.items()},
        "inputs": gathered.input_hashes,
        "answered": gathered.answered,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _find_done(workspace: Workspace, key: str, gathered: Gathered) -> BatchFile | None:
    """Return the newest batch of this key, unless images that it meant for training were held out since."""
    held_out = set(gathered.images.names(gathered.held_out))
    with Catalog.open(workspace.catalog_place) as catalog:
        recorded = catalog.batches.ids()
    for batch_id in reversed(recorded):
        if not (workspace.batches_dir / batch_id / "batch.json").exists():
            continue
        if read_head(workspace, batch_id).get("request_key", key) != key:
            continue  # a year's batches are hundreds of megabytes
        try:
            batch = read_batch(workspace, batch_id)
        except DataError as error:  # one spoilt file must not stop every batch to come
            _LOG.warning("%s; compared with no request", error)
            continue
        for_training = {pick.image_id for pick in batch.picks if pick.kind != "evaluation"}
        if batch.request_key == key and not for_training & held_out:
            return batch
    return None


def _result(workspace: Workspace, batch: BatchFile, seconds: dict[str, float], *, reused: bool = False) -> BatchResult:
    counts: Counter[str] = Counter(pick.kind for pick in batch.picks)
    folder = workspace.batches_dir / batch.batch_id
    return BatchResult(batch.batch_id, folder, dict(counts), batch.strategy, batch.notes, batch.worth, batch.worth_text,
                       batch.picks, seconds, reused)  # fmt: skip
