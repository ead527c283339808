"""Labelled vectors to learn on and to be tested on, without near-duplicates on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from activesel.errors import DataError
from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng


@dataclass(frozen=True)
class Dataset:
    """Images with the truth about them.

    vectors: (n, d) unit rows. classes: (n,) index into class_names. groups: (n,) images of one group show nearly the
    same and stay on one side of every split; each image its own group where nothing is known.
    """

    vectors: FloatArray
    classes: IntArray
    class_names: tuple[str, ...]
    groups: IntArray


@dataclass(frozen=True)
class Split:
    """Rows of a dataset, sorted: pool (p,) to choose from, test (t,) to score on."""

    pool: IntArray
    test: IntArray


def split_by_group(dataset: Dataset, seed: int) -> Split:
    """Return half of the groups as pool and half as test, each commonest class of a group dealt evenly to both.

    Raises:
        DataError: a class whose images are all in one group, so that one side would lack it.
    """
    rng = derive_rng(seed, "benchmark", "split")
    groups, of_row = np.unique(dataset.groups, return_inverse=True)
    counts = np.zeros((len(groups), len(dataset.class_names)), np.int64)
    np.add.at(counts, (of_row, dataset.classes), 1)
    commonest = counts.argmax(axis=1)
    in_pool = np.zeros(len(groups), bool)
    for number in range(len(dataset.class_names)):
        members = rng.permutation(np.flatnonzero(commonest == number))
        in_pool[members[rng.integers(2) :: 2]] = True
    split = Split(np.flatnonzero(in_pool[of_row]), np.flatnonzero(~in_pool[of_row]))
    for side in (split.pool, split.test):
        missing = np.setdiff1d(dataset.classes, dataset.classes[side])
        if len(missing):
            raise DataError("a class is not on both sides of the split", found=dataset.class_names[missing[0]],
                            expected="images of every class in two groups or more",
                            hint="merge the class with another, or check the group column")  # fmt: skip
    return split
