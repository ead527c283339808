"""A trained model as the flywheel sees it: its card, the names of its files, its aliases, and what it answers.

A model is a folder, `.activesel/models/MODEL_ID`, which appears whole and never changes: model.json (the card), its
checkpoint (safetensors, or loaded with weights_only), and predictions.parquet, what it says of every image of its
dataset and of the pool. Whatever trained it, the stages after training read those files alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

CARD, PREDICTIONS, EVALUATION = "model.json", "predictions.parquet", "evaluation.json"


class Alias(StrEnum):
    """The model that answers, the one that may be next, and the one before, to which `rollback` returns."""

    champion = "champion"
    challenger = "challenger"
    previous = "previous"


@dataclass(frozen=True)
class ModelCard:
    """What a model is and what it was made from.

    model_id: 12 hex digits of all that it follows from (trainer, options, dataset, seed, vectors), so that the same
    training again is the same model. dataset: the version that it was trained on. classes: in the order of its
    probabilities. good: the class without a defect, None where none is. created: UTC, ISO 8601. files: name in the
    folder -> SHA-256; a file that is not listed, or is another one, is not read.
    """

    model_id: str
    trainer: str
    dataset: str
    classes: tuple[str, ...]
    good: str | None
    seed: int
    created: str
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Decision:
    """One line of the registry's log, which only grows.

    kind: "gate", "promote", "force" or "rollback". outcome: "promote", "hold" or "reject" of a gate, else "done".
    reason: in a sentence; a forced promotion's is its user's. test_set: hash of the images that were looked at, "" for
    none. look: how many times that test set has been looked at for a decision, this one included. details: plain
    values.
    """

    kind: str
    challenger: str
    champion: str | None
    outcome: str
    reason: str
    created: str
    test_set: str = ""
    look: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


class Predictor(Protocol):
    """A model that is ready to answer.

    classes: (c,) names in the order of the probabilities. device: where it computes.
    """

    classes: Sequence[str]
    device: str

    def prepare(self, picture: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Return the network's input (3, s, s) float32 of one picture (h, w, 3), RGB; safe to call from threads."""
        ...

    def probabilities(self, batch: torch.Tensor) -> npt.NDArray[np.float32]:
        """Return (b, c), rows sum to 1, of inputs (b, 3, s, s)."""
        ...
