"""The story of `activesel train`: a dataset version becomes a model with its card and its predictions."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activesel.catalog import Catalog
from activesel.config.sections import Section
from activesel.dataset import Dataset
from activesel.errors import RefusedError
from activesel.models import PREDICTIONS, ModelCard
from activesel.pipelines.dataset_files import find_version, read_dataset
from activesel.pipelines.model_files import clear_scratch, models_folder, publish_model, scratch_of
from activesel.pipelines.train_inputs import check_sides, gather_work, prepare_vectors
from activesel.trainers import Trainer, Work, find_trainer, parse_options, read_card
from activesel.trainers.answers import predictions_bytes
from activesel.uncertainty import check_probs
from activesel.workspace import Workspace, write_atomic

TRAINERS_VERSION = 1  # raised when the same inputs would give another model


@dataclass(frozen=True)
class TrainRequest:
    """dataset: id or name of a version, None = the newest. trainer, options: None or not given = as the settings say.
    pool: predict every image of the catalog, not the dataset's alone. force: train although the model is there."""

    dataset: str | None = None
    trainer: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    pool: bool = False
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Trained:
    """model_id: of a dry run before images are embedded one that embedding will change. folder: None of a dry run.
    is_new: False where the model was there. counts: side -> images."""

    model_id: str
    trainer: str
    dataset: str
    folder: Path | None
    is_new: bool
    classes: tuple[str, ...]
    good: str | None
    counts: Mapping[str, int]
    n_predicted: int
    notes: tuple[str, ...]


def train(workspace: Workspace, request: TrainRequest) -> Trained:
    """Train on the training side of a dataset version, predict, and register; the caller holds the workspace's lock.

    The model's id follows from what it is made from, so that a rerun finds the model or goes on with it. No label of a
    test image reaches a trainer.

    Raises:
        DataError: no dataset, no image to train on, images that cannot be read. UsageError: unknown trainer or option.
        RefusedError: force, and an alias stands for the model.
    """
    dataset = read_dataset(workspace, find_version(workspace, request.dataset))
    check_sides(dataset)
    trainer, options = _choose(workspace, request)
    if trainer.needs_vectors and not request.dry_run:
        prepare_vectors(workspace, dataset, pool=request.pool)
    work, notes = gather_work(workspace, dataset, pool=request.pool, scratch=models_folder(workspace))
    model_id = _id_of(trainer, options, dataset, work, pool=request.pool)
    folder, is_new = models_folder(workspace) / model_id, False
    if not request.dry_run:
        aliases = _aliases(workspace, model_id)
        if request.force and aliases:
            raise RefusedError("this model is in use, so it stays as it is", where=model_id, found=", ".join(aliases),
                               hint="train with another seed or option instead of --force")  # fmt: skip
        is_new = request.force or not folder.exists()
        if is_new:
            work = replace(work, scratch=scratch_of(workspace, model_id))
            notes += _fit(workspace, trainer, options, work, _card(trainer, options, dataset, work, model_id))
        clear_scratch(workspace)
        with Catalog.open(workspace.catalog_place) as catalog:  # the folder is the truth, after a kill between the two
            catalog.models.register(read_card(folder), replaces=is_new or not aliases)
    counts = dict(Counter(one.split for one in dataset.entries))
    return Trained(model_id, trainer.name, dataset.version, None if request.dry_run else folder, is_new, work.classes,
                   work.good, counts, len(work.asked), tuple(notes))  # fmt: skip


def _choose(workspace: Workspace, request: TrainRequest) -> tuple[Trainer, Section]:
    """Return the trainer and its options; the settings' options are those of the settings' trainer alone."""
    settings = workspace.config.training
    trainer = find_trainer(request.trainer or settings.trainer)
    usual = settings.options if trainer.name == settings.trainer else {}
    return trainer, parse_options(trainer, {**usual, **request.options})


def _id_of(trainer: Trainer, options: Section, dataset: Dataset, work: Work, *, pool: bool) -> str:
    """Return 12 hex digits of all that the model and its predictions follow from."""
    asked = hashlib.sha256("\n".join(one.image_id for one in work.asked).encode()).hexdigest() if pool else ""
    follows = [TRAINERS_VERSION, trainer.name, options.model_dump(mode="json"), dataset.version, work.seed, work.good,
               trainer.follows_from(work, options), asked]  # fmt: skip
    return hashlib.sha256(json.dumps(follows, sort_keys=True).encode()).hexdigest()[:12]


def _aliases(workspace: Workspace, model_id: str) -> list[str]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return [alias.value for alias, known in catalog.models.aliases().items() if known == model_id]


def _card(trainer: Trainer, options: Section, dataset: Dataset, work: Work, model_id: str) -> ModelCard:
    return ModelCard(model_id, trainer.name, dataset.version, work.classes, work.good, work.seed,
                     datetime.now(UTC).isoformat(timespec="microseconds"), options.model_dump(mode="json"))  # fmt: skip


def _fit(workspace: Workspace, trainer: Trainer, options: Section, work: Work, card: ModelCard) -> tuple[str, ...]:
    """Train into the model's folder and return the notes."""
    notes: list[str] = []

    def write(draft: Path) -> ModelCard:
        fit = trainer.fit(work, options, draft)
        probs = check_probs(fit.probs, len(work.asked), f"trainer {trainer.name}")
        ids = [one.image_id for one in work.asked]
        write_atomic(draft / PREDICTIONS, predictions_bytes(ids, probs, work.classes))
        notes.extend(fit.notes)
        return replace(card, options={**card.options, **fit.about}, note="; ".join(fit.notes))

    publish_model(workspace, card.model_id, write)
    return tuple(notes)
