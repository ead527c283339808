"""The composition root of serving: from a workspace and names of models to a lineup that can be refreshed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.lots import Arm
from activesel.models import EVALUATION, Alias, ModelCard, Predictor
from activesel.pipelines.model_files import find_model, models_folder
from activesel.serving.lineup import Opened
from activesel.workspace import Workspace

Names = Mapping[Arm, str]  # arm -> an alias or a model's id
OpenPredictor = Callable[[Path, str], Predictor]  # folder, device


def pick_device(name: str) -> str:
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def find_wanted(workspace: Workspace, names: Names) -> dict[Arm, str | None]:
    """Return, for each arm, the id of the model that its name stands for now; None = an alias that stands for none.

    Raises:
        DataError: there is no such alias or model, or no champion.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        aliases = catalog.models.aliases()
    return {arm: aliases.get(Alias(name)) if _may_be_nobody(arm, name) else find_model(workspace, name)
            for arm, name in names.items()}  # fmt: skip


def _may_be_nobody(arm: Arm, name: str) -> bool:
    """Whether there need not be such a model now: a challenger comes and goes, somebody always has to answer."""
    return arm is not Arm.champion and name in tuple(Alias)


def open_model(workspace: Workspace, model_id: str, open_predictor: OpenPredictor, device: str) -> Opened:
    """Read a model from its folder and let it judge one blank picture, so that the first request finds it warm.

    Raises:
        DataError: its files are damaged, or its classes are not those of its card.
    """
    card = read_card(workspace, model_id)
    folder = models_folder(workspace) / model_id
    predictor = open_predictor(folder, device)
    if tuple(predictor.classes) != card.classes:
        raise DataError("the model's classes are not its card's", where=str(folder), found=", ".join(predictor.classes),
                        expected=", ".join(card.classes))  # fmt: skip
    blank = predictor.prepare(np.zeros((64, 64, 3), np.uint8))
    predictor.probabilities(blank[None])
    least_px = getattr(predictor, "least_px", None)  # of our own networks, which take grey pictures, too
    return Opened(card, predictor, least_px, least_px is not None, read_threshold(folder / EVALUATION))


def read_card(workspace: Workspace, model_id: str) -> ModelCard:
    with Catalog.open(workspace.catalog_place) as catalog:
        found = [card for card in catalog.models.cards() if card.model_id == model_id]
    if not found:
        raise DataError("no such model in the catalog", found=model_id)
    return found[0]


def read_threshold(path: Path) -> float | None:
    """Return the score from which an image is rejected, as the evaluation chose it; None = it was not evaluated.

    Raises:
        DataError: the file is damaged.
    """
    try:
        told: Any = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise DataError("not valid JSON", where=str(path), hint="evaluate the model again") from None
    value = told.get("threshold") if isinstance(told, dict) else None
    if value is None:
        return None
    if not isinstance(value, int | float) or not value >= 0:
        raise DataError("the threshold is not a score", where=str(path), found=repr(value)[:40], expected="0 or more")
    return float(value)
