"""Images made in code, and settings that name the tiny backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from activesel.config import EmbeddingConfig, load_config
from tests.embedding import tiny_backbone  # noqa: F401 - registers "tiny"

ROOT = Path(__file__).resolve().parents[2]
Settings = Callable[..., EmbeddingConfig]


def write_images(folder: Path, number: int, *, seed: int = 0) -> list[Path]:
    """Write grey PNG and JPEG files of odd sizes, some smaller than any input size."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = [folder / f"{i:03d}.{'png' if i % 2 else 'jpg'}" for i in range(number)]
    for path in paths:
        height, width = rng.integers(20, 90, 2)
        assert cv2.imwrite(str(path), cv2.GaussianBlur(rng.integers(0, 256, (height, width), np.uint8), (5, 5), 0))
    return paths


@pytest.fixture
def settings() -> Settings:
    def make(backbone: str = "tiny", **changes: object) -> EmbeddingConfig:
        usual = {"batch_size": 4, "precision": "float32", "device": "cpu", "backbone": backbone, "pooling": "plain"}
        return load_config().embedding.model_copy(update=usual | changes)

    return make
