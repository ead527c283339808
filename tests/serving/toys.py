"""A workspace with models that judge an image by its mean brightness, in no time and without a backbone."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from activesel.catalog import Catalog
from activesel.models import EVALUATION, Alias, Decision, ModelCard
from activesel.workspace import Workspace, create_workspace

CLASSES = ("good", "crack", "pit")
CREATED = "2026-01-01T00:00:00+00:00"


class Toy:
    """Predicts (1 - b, b, 0) of a picture's brightness b, 0..1; ``bias`` tells two of them apart.

    gate: a closed one keeps its answers back. sizes: of the batches that it saw.
    """

    device = "cpu"

    def __init__(self, bias: float = 0.0, classes: Sequence[str] = CLASSES) -> None:
        self.classes, self.bias = tuple(classes), bias
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []

    def prepare(self, picture: npt.NDArray[np.uint8]) -> torch.Tensor:
        small = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(small).permute(2, 0, 1).float()

    def probabilities(self, batch: torch.Tensor) -> npt.NDArray[np.float32]:
        self.gate.wait(30)
        self.sizes.append(len(batch))
        dark = (batch.mean(dim=(1, 2, 3)) / 255 * 0.9 + self.bias).numpy()
        return np.stack([1 - dark, dark, 0 * dark], axis=1).astype(np.float32)


def card_of(model_id: str) -> ModelCard:
    return ModelCard(model_id, "toy", "d1", CLASSES, "good", 0, CREATED)


def make_workspace(root: Path, *models: str, threshold: float | None = 0.5, overrides: Sequence[str] = ()) -> Workspace:
    """Make a workspace whose catalog has these models; the first is the champion."""
    workspace = create_workspace(root, overrides)
    with Catalog.open(workspace.catalog_place) as catalog:
        for model_id in models:
            catalog.models.register(card_of(model_id))
            folder = workspace.state / "models" / model_id
            folder.mkdir(parents=True)
            if threshold is not None:
                (folder / EVALUATION).write_text(json.dumps({"threshold": threshold}))
    if models:
        promote(workspace, models[0])
    return workspace


def promote(workspace: Workspace, model_id: str) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        champion = catalog.models.aliases().get(Alias.champion)
        catalog.models.promote(Decision("force", model_id, champion, "done", "a test", CREATED))


def challenge(workspace: Workspace, model_id: str) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.models.name(Alias.challenger, model_id)


def picture(brightness: int, kind: str = "PNG", size: tuple[int, int] = (40, 30), grey: bool = False) -> bytes:
    image = Image.new("L" if grey else "RGB", size, brightness if grey else (brightness,) * 3)
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()
