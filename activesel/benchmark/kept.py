"""Finished trials on disk, one small file each, named by everything that decides them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.benchmark.dataset import Dataset
from activesel.benchmark.peers import version_of
from activesel.benchmark.trial import Protocol
from activesel.workspace import write_json

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Trial:
    """One strategy on one seed. labels: (r,) how many at each point. scores: name -> (r,), on the test half.

    rows: of the dataset, in the order they were labelled; the start is the same for all strategies of a seed.
    """

    strategy: str
    seed: int
    labels: tuple[int, ...]
    scores: Mapping[str, tuple[float, ...]]
    rows: tuple[int, ...]


class KeptTrials:
    """The finished trials of one dataset and protocol in a folder."""

    def __init__(self, folder: Path, dataset: Dataset, protocol: Protocol) -> None:
        self._folder = folder
        self._n = len(dataset.vectors)
        self._decides = {"version": SCHEMA_VERSION, "data": digest(dataset), "protocol": asdict(protocol)}

    def path(self, strategy: str, seed: int) -> Path:
        decides = {**self._decides, "strategy": strategy, "seed": seed, "by": version_of(strategy)}
        name = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def read(self, strategy: str, seed: int) -> Trial | None:
        """Return a finished trial; None where there is none, or a file that is not whole."""
        try:
            stored = json.loads(self.path(strategy, seed).read_text(encoding="utf8"))
            trial = _from_json(stored)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        is_it = (trial.strategy, trial.seed) == (strategy, seed) and trial.labels and trial.scores
        return trial if is_it and self._is_sound(trial) else None

    def write(self, trial: Trial) -> None:
        """Keep a trial; the file appears whole or not at all.

        Raises:
            UnreachableError: the disk is full.
        """
        write_json(self.path(trial.strategy, trial.seed), asdict(trial))

    def _is_sound(self, trial: Trial) -> bool:
        lengths = {len(values) for values in trial.scores.values()}
        finite = all(math.isfinite(value) for values in trial.scores.values() for value in values)
        rows_fit = len(trial.rows) == trial.labels[-1] and all(0 <= row < self._n for row in trial.rows)
        return finite and rows_fit and lengths == {len(trial.labels)}


def digest(dataset: Dataset) -> str:
    """Return the name of a dataset by its content: vectors, classes, groups and class names."""
    name = hashlib.sha256(json.dumps([dataset.vectors.shape, str(dataset.vectors.dtype), dataset.class_names]).encode())
    for array in (dataset.vectors, dataset.classes, dataset.groups):
        name.update(np.ascontiguousarray(array).data)
    return name.hexdigest()


def _from_json(stored: Any) -> Trial:
    scores = {str(name): tuple(float(value) for value in values) for name, values in stored["scores"].items()}
    labels, rows = (tuple(int(value) for value in stored[name]) for name in ("labels", "rows"))
    return Trial(str(stored["strategy"]), int(stored["seed"]), labels, scores, rows)
