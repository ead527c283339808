"""The tasks of scripts/run_default_variants.py: whole sets, and what can be made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from activesel.benchmark.dataset import Dataset


def _whole(dataset: Dataset, _seed: int) -> Dataset:
    return dataset


def _good_or_defect(dataset: Dataset, _seed: int) -> Dataset:
    good = int(np.bincount(dataset.classes).argmax())
    return replace(dataset, classes=(dataset.classes != good).astype(np.int64), class_names=("good", "defect"))


def _one_usual(dataset: Dataset, seed: int) -> Dataset:
    counts = np.full(len(dataset.class_names), 12)
    counts[seed % len(counts)] = 300
    return _take(dataset, counts, seed)


def _rare(dataset: Dataset, seed: int) -> Dataset:
    return _take(dataset, np.array([1500, 0, 0, 80]), seed)


def _take(dataset: Dataset, counts: npt.NDArray[np.int64], seed: int) -> Dataset:
    """Keep so many random images of each class, and the classes that have any."""
    rng = np.random.default_rng(seed)
    shuffled = (rng.permutation(np.flatnonzero(dataset.classes == number)) for number in range(len(counts)))
    rows = np.sort(np.concatenate([rows[:count] for rows, count in zip(shuffled, counts, strict=True)]))
    present, classes = np.unique(dataset.classes[rows], return_inverse=True)
    names = tuple(dataset.class_names[number] for number in present)
    return Dataset(dataset.vectors[rows], classes, names, dataset.groups[rows])


TASKS: dict[str, Callable[[Dataset, int], Dataset]] = {
    "magnetic_tile": _whole, "neu_det": _whole, "elpv": _whole, "magnetic_tile good or defect": _good_or_defect,
    "neu_det one usual": _one_usual, "elpv rare": _rare,
}  # fmt: skip
