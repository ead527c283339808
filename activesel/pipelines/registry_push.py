"""The story of `activesel models push`: the registry as runs, versions and aliases of an MLflow server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activesel.catalog import Catalog
from activesel.models import EVALUATION, Alias, ModelCard
from activesel.pipelines.model_files import models_folder
from activesel.pipelines.registry_files import find_files
from activesel.tools.mlflow import Entry, Mlflow, Pushed
from activesel.tools.mlflow_files import NoProxyError
from activesel.workspace import Workspace

_FIGURES = ("recall", "false_rejects", "auprc", "macro_f1", "accuracy", "calibration", "classwise")


@dataclass(frozen=True)
class PushedModels:
    """name: of the registered model there. versions: model id -> version there. n_new: made by this run. aliases:
    alias -> version. n_files, n_bytes: sent by this run. notes: which files were not, and why."""

    name: str
    versions: dict[str, str]
    n_new: int
    aliases: dict[str, str]
    n_files: int = 0
    n_bytes: int = 0
    notes: tuple[str, ...] = ()


def push_models(
    workspace: Workspace, tool: Mlflow, name: str | None = None, *, files: bool = True, dry_run: bool = False
) -> PushedModels:
    """Bring every model there, with its card as parameters and its evaluation as metrics, and point the aliases.

    Each is known again by a tag, so that a second push, or one after a kill, makes nothing twice. files: then send the
    checkpoints and what belongs to them, where the server has an artifact proxy; where it has none, a note says so.

    Raises:
        DataError: a file that is not what its card says.
    """
    name = name or workspace.root.name
    with Catalog.open(workspace.catalog_place) as catalog:
        cards, aliases = catalog.models.cards(), catalog.models.aliases()
    if dry_run:
        return PushedModels(name, {card.model_id: "" for card in cards}, 0, {})
    experiment_id = tool.open_model(name)
    pushed = {card.model_id: tool.push(name, experiment_id, _entry(workspace, card)) for card in cards}
    wanted = {alias.value: pushed[model_id].version for alias, model_id in aliases.items() if model_id in pushed}
    known = tool.aliases(name)
    for alias, version in wanted.items():
        if known.get(alias) != version:
            tool.set_alias(name, alias, version)
    for alias in Alias:
        if alias.value in known and alias.value not in wanted:
            tool.drop_alias(name, alias.value)
    versions = {model_id: one.version for model_id, one in pushed.items()}
    n_files, n_bytes, notes = _push_files(workspace, tool, cards, pushed) if files else (0, 0, ())
    return PushedModels(
        name, versions, sum(one.is_new for one in pushed.values()), wanted, n_files, n_bytes, tuple(notes)
    )


def _push_files(
    workspace: Workspace, tool: Mlflow, cards: list[ModelCard], pushed: Mapping[str, Pushed]
) -> tuple[int, int, list[str]]:
    """Return how many files were sent, their bytes, and which were not."""
    n_files, n_bytes, notes = 0, 0, []
    for card in cards:
        found, left_out = find_files(workspace, card)
        notes += left_out
        try:
            sent = tool.push_files(pushed[card.model_id], found)
        except NoProxyError as error:
            return n_files, n_bytes, [*notes, f"no files were pushed: {error}"]
        n_files, n_bytes = n_files + len(sent), n_bytes + sum(one.path.stat().st_size for one in sent)
    return n_files, n_bytes, notes


def _entry(workspace: Workspace, card: ModelCard) -> Entry:
    params = {"trainer": card.trainer, "dataset": card.dataset, "seed": str(card.seed), "good": str(card.good),
              "classes": ", ".join(card.classes)}  # fmt: skip
    params |= {f"option.{key}": json.dumps(value, sort_keys=True) for key, value in card.options.items()}
    document = _read_evaluation(workspace, card)
    tags = {"activesel.workspace": workspace.root.name, "activesel.dataset": card.dataset}
    tags |= {"activesel.test_set": str(document["test_set"])} if document.get("test_set") else {}
    created_ms = int(datetime.fromisoformat(card.created).timestamp() * 1000)
    return Entry(card.model_id, created_ms, params, dict(_metrics(document)), tags)


def _read_evaluation(workspace: Workspace, card: ModelCard) -> dict[str, Any]:
    """Return what `activesel evaluate` found, nothing where it has not run."""
    try:
        found = json.loads((models_folder(workspace) / card.model_id / EVALUATION).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _metrics(document: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield "recall", "recall.low", "recall.high", "crack.f1", ..., those that are known."""
    for name in _FIGURES:
        for key, value in (document.get(name) or {}).items():
            if value is not None:
                yield name if key == "value" else f"{name}.{key}", float(value)
    for one in document.get("per_class") or ():
        for name in ("found", "f1", "auprc"):
            value = (one.get(name) or {}).get("value")
            if value is not None:
                yield f"{one['name']}.{name}", float(value)
