"""Trainers by name, what each is handed, and what it hands back; reads no files."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from activesel.config import EmbeddingConfig
from activesel.config.sections import Section
from activesel.dataset import Example
from activesel.errors import UsageError
from activesel.models import ModelCard, Predictor
from activesel.records import FloatArray

Vectors = Callable[[Sequence[str]], FloatArray]


@dataclass(frozen=True)
class Asked:
    """An image to predict. split: "train", "validation", "test", or "" of the pool."""

    image_id: str
    path: str
    split: str = ""


@dataclass(frozen=True)
class Work:
    """What a trainer is handed; no label of a test image is in it.

    classes: in the order of the probabilities wanted. good: the class without a defect, None where none is. train: to
    learn from, made images among them. validation: for temperature and stopping only. asked: to predict, by image id.
    vectors: image ids -> (n, d) unit rows, of every image here; vectors_key: what names them; embedding, bank: what
    they come from. scratch: a folder of this model's own, which a killed training finds again. shapes: key of an
    annotation -> JSON of its shapes. device: "cpu" or "cuda:1". max_pixels: more are not decoded. root: the folder that
    commands run in. timeout_s: for them, 0 = none.
    """

    classes: tuple[str, ...]
    good: str | None
    seed: int
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    asked: tuple[Asked, ...]
    vectors: Vectors
    vectors_key: str
    embedding: EmbeddingConfig
    bank: Path | None
    scratch: Path
    device: str
    max_pixels: int
    shapes: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path()
    timeout_s: float = 0.0

    def codes(self, examples: Sequence[Example]) -> npt.NDArray[np.int64]:
        """Return the class index of each example (m,)."""
        index = {name: code for code, name in enumerate(self.classes)}
        return np.array([index[one.label] for one in examples], np.int64)


@dataclass(frozen=True)
class Fit:
    """What a trainer hands back, beside the files that it wrote.

    probs: (n, c) of ``Work.asked``, rows sum to 1. about: what the predictor needs to know beside the options, plain
    values, kept in the card. notes: for the user.
    """

    probs: npt.NDArray[np.float32]
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trainer:
    """One way to make a model.

    options: its settings with their defaults. follows_from: (work, options) -> text that names whatever the model
    follows from beside options, dataset and seed, such as weights. fit: (work, options, folder) writes checkpoint
    files into the folder. load: (folder, card, device) -> predictor. needs_vectors: embed every image first.
    """

    name: str
    options: type[Section]
    follows_from: Callable[[Work, Any], str]
    fit: Callable[[Work, Any, Path], Fit]
    load: Callable[[Path, ModelCard, str], Predictor]
    needs_vectors: bool = False


_TRAINERS: dict[str, Trainer] = {}


def register(trainer: Trainer) -> Trainer:
    """Make a trainer known by its name.

    Raises:
        ValueError: the name is taken.
    """
    if trainer.name in _TRAINERS:
        raise ValueError(f"trainer {trainer.name!r} is registered twice")
    _TRAINERS[trainer.name] = trainer
    return trainer


def trainer_names() -> tuple[str, ...]:
    """Return every registered name, sorted."""
    return tuple(sorted(_TRAINERS))


def find_trainer(name: str) -> Trainer:
    """Return a trainer.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in _TRAINERS:
        near = difflib.get_close_matches(name, _TRAINERS, n=1) or trainer_names()
        raise UsageError("unknown trainer", found=repr(name), expected=" or ".join(near))
    return _TRAINERS[name]


def parse_options(trainer: Trainer, given: Mapping[str, Any]) -> Section:
    """Return a trainer's options with the defaults for those not given.

    Raises:
        UsageError: an option that it does not have, or a value out of range.
    """
    try:
        return trainer.options.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = "one of " + ", ".join(trainer.options.model_fields) if first["type"] == "extra_forbidden" else None
        raise UsageError(f"bad option {name} of trainer {trainer.name}", found=repr(first["input"]),
                         expected=known or first["msg"]) from None  # fmt: skip
