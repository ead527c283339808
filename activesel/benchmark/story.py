"""The story of `activesel bench`: labelled images or arrays in, trials in processes, figures and a page out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.inputs import read_arrays, read_images
from activesel.benchmark.kept import KeptTrials, Trial
from activesel.benchmark.outcome import REFERENCE, Standing, add_defects, summarise
from activesel.benchmark.peers import find_chooser
from activesel.benchmark.runs import run_all
from activesel.benchmark.trial import Protocol, check_size, needs_model
from activesel.errors import UsageError
from activesel.labels import find_format
from activesel.sources import read_source
from activesel.workspace import Workspace

TRIALS_NAME = "trials"


@dataclass(frozen=True)
class BenchRequest:
    """What one call asks for. source: as `activesel ingest` takes it, or an .npz. good: the class that is no defect,
    None = the most frequent. strategies: as typed, without repeats; random is added where it is absent.
    """

    source: str
    strategies: tuple[str, ...]
    protocol: Protocol
    seeds: int = 10
    labels: Path | None = None
    group_column: str | None = None
    good: str | None = None
    workers: int = 1

    @property
    def is_arrays(self) -> bool:
        return self.source.lower().endswith(".npz")

    @property
    def all_strategies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.strategies, REFERENCE)))


@dataclass(frozen=True)
class BenchResult:
    """standings: best first. trials: with the defects found. good: the class that is no defect. n_kept: trials that an
    earlier run had finished.
    """

    request: BenchRequest
    dataset: Dataset
    good: str
    trials: tuple[Trial, ...]
    standings: tuple[Standing, ...]
    notes: tuple[str, ...]
    n_kept: int


def run_bench(workspace: Workspace, request: BenchRequest) -> BenchResult:
    """Run what an earlier run has not; the caller holds the lock.

    Raises:
        UsageError: a strategy or class that does not exist. DataError: data that do not fit the protocol; all of it
        before the first trial.
    """
    check_request(request)
    dataset, notes = _read(workspace, request)
    good = find_good(dataset, request.good)
    check_fit(dataset, request)
    kept = KeptTrials(workspace.state / TRIALS_NAME, dataset, request.protocol)
    trials, n_kept = run_all(dataset, request.protocol, request.all_strategies, request.seeds, request.workers, kept)
    found = [add_defects(trial, dataset, good) for trial in trials]
    standings = summarise(found, dataset)
    notes += _note_blind(request)
    return BenchResult(request, dataset, dataset.class_names[good], tuple(found), tuple(standings), notes, n_kept)


def plan_bench(workspace: Workspace, request: BenchRequest) -> dict[str, Any]:
    """Say what `run_bench` would do; writes nothing. Arrays are read and checked, images only counted."""
    check_request(request)
    plan: dict[str, Any] = {"source": request.source}
    names = request.all_strategies
    n_kept = None
    if request.is_arrays:
        dataset, notes = _read(workspace, request)
        plan |= {"images": len(dataset.vectors), "classes": len(dataset.class_names),
                 "good": dataset.class_names[find_good(dataset, request.good)]}  # fmt: skip
        plan["notes"] = list(notes)
        check_fit(dataset, request)
        kept = KeptTrials(workspace.state / TRIALS_NAME, dataset, request.protocol)
        n_kept = sum(kept.read(name, seed) is not None for name in names for seed in range(request.seeds))
    else:
        found = read_source(request.source, path_pattern=workspace.config.ingest.path_pattern)
        plan["files"] = len(found.entries)
    return plan | {
        "strategies": list(names), "seeds": request.seeds, "trials": len(names) * request.seeds, "finished": n_kept,
        "workers": request.workers, "folder": str(workspace.root),
    }  # fmt: skip


def check_request(request: BenchRequest) -> None:
    """Refuse what can be told without the data.

    Raises:
        UsageError: no strategy, one that does not exist, or options that do not go with an .npz.
        DataError: no such label file.
    """
    if not any(request.strategies):
        raise UsageError("no strategy to compare", where="--strategies", expected="names, with commas between")
    for name in request.all_strategies:
        find_chooser(name)
    if request.is_arrays and (request.labels is not None or request.group_column is not None):
        raise UsageError("an .npz brings its own labels and groups", where=request.source,
                         expected="neither --labels nor --group-column")  # fmt: skip
    if request.labels is not None:
        find_format(request.labels)


def find_good(dataset: Dataset, name: str | None) -> int:
    """Return the class that is no defect: the one named, else the most frequent.

    Raises:
        UsageError: no such class.
    """
    if name is None:
        return int(np.bincount(dataset.classes).argmax())
    if name not in dataset.class_names:
        raise UsageError("no such class", where=f"--good {name}", expected=", ".join(dataset.class_names[:12]))
    return dataset.class_names.index(name)


def check_fit(dataset: Dataset, request: BenchRequest) -> None:
    """Split once for each seed: what would fail after an hour fails now.

    Raises:
        DataError: a class that is not on both sides, or a pool half too small for the batches.
    """
    for seed in range(request.seeds):
        check_size(dataset, split_by_group(dataset, seed), request.protocol)


def parse_strategies(text: str) -> tuple[str, ...]:
    """Split at the commas; a name said twice counts once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _note_blind(request: BenchRequest) -> tuple[str, ...]:
    """Say which strategies begin as random does."""
    ours = [name for name in request.all_strategies if ":" not in name]
    blind = [name for name in ours if needs_model(name.split("/")[0])]
    if not blind or request.protocol.start == "one-per-class":
        return ()
    return (f"{', '.join(blind)}: random until labels of two classes make a model",)


def _read(workspace: Workspace, request: BenchRequest) -> tuple[Dataset, tuple[str, ...]]:
    if request.is_arrays:
        return read_arrays(Path(request.source), workspace.config.duplicates.similarity)
    return read_images(workspace, request.source, request.labels, request.group_column)
