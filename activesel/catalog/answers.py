"""What the catalog answers with, beside images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.ids import IdArray


@dataclass(frozen=True)
class Batch:
    """One batch as it was drawn. kinds: per image one of train, explore, evaluation."""

    batch_id: str
    created: str
    image_ids: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class BatchCounts:
    """How many images a batch has, by kind, and how many of them have a label by now."""

    batch_id: str
    created: str
    n_by_kind: dict[str, int]
    n_labelled: int


@dataclass(frozen=True)
class LabelColumns:
    """One label per image. ids: (m, 16), ascending. codes: (m,) int32 into names, which are sorted."""

    ids: IdArray
    codes: npt.NDArray[np.int32]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    n_images: int  # distinct contents that have a file
    n_files: int
    n_labelled: int
    n_quarantined: int
    n_batches: int
    n_evaluation: int
