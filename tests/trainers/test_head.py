"""The head with the real backbone: what it serves is what it stored, with either pooling; damage is told of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from activesel.errors import DataError
from activesel.images import decode_rgb
from activesel.models import PREDICTIONS
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.train import TrainRequest, train
from activesel.predictions import read_predictions
from activesel.trainers import head, load_predictor, read_card
from activesel.trainers.exposure import keep_floor
from activesel.workspace import find_workspace
from tests.pipelines.test_train import make_workspace

REAL = ("embedding.precision=float32", "embedding.device=cpu", "training.device=cpu", "duplicates.similarity=1.0")


@pytest.mark.parametrize("pooling", ["plain", "defect-aware"])
def test_serving_the_default_backbone_gives_the_stored_probabilities(tmp_path: Path, pooling: str) -> None:
    made = make_workspace(tmp_path, 16, 16)
    workspace = find_workspace(made.root, [*REAL, f"embedding.pooling={pooling}"])
    done = train(workspace, TrainRequest())
    assert done.folder is not None
    card = read_card(done.folder)
    assert ("bank.safetensors" in card.files) == (pooling == "defect-aware")
    entries = read_dataset(workspace, done.dataset).entries
    stored = read_predictions(done.folder / PREDICTIONS, {}, [one.example.image_id for one in entries]).probs
    predictor = load_predictor(done.folder)
    pictures = [decode_rgb(Path(one.example.path), max_pixels=10**6) for one in entries]
    batch = torch.stack([predictor.prepare(picture) for picture in pictures])
    found = np.concatenate([predictor.probabilities(part) for part in batch.split(3)])
    np.testing.assert_allclose(found, stored, atol=1e-3)
    channels_last = batch[:2].contiguous(memory_format=torch.channels_last)
    before = channels_last.clone()
    np.testing.assert_allclose(predictor.probabilities(channels_last), stored[:2], atol=1e-3)
    assert torch.equal(channels_last, before), "the batch is the caller's"
    other = replace(card, options={**card.options, "vectors": "another"})
    with pytest.raises(DataError, match="another one than the model was trained on"):
        head.load(done.folder, other, "cpu")


def test_a_head_of_another_shape_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros((2, 3), np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match="not the checkpoint"):
        head._read(tmp_path / "a.safetensors", 2, 3)


def test_the_floor_leaves_real_ones_alone() -> None:
    classes, made = np.array([0, 0, 0, 1, 1]), np.array([False, True, True, True, True])
    kept = keep_floor(np.array([1, 5, 5, 7, 7]), classes, made, 0.5)
    np.testing.assert_allclose(kept, [1, 0.5, 0.5, 7, 7])
    np.testing.assert_allclose(keep_floor(np.array([1, 0.1, 0.1, 1, 1]), classes, made, 0.5), [1, 0.1, 0.1, 1, 1])
