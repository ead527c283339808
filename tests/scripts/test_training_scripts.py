"""The worked examples keep the contract: run by `activesel train`, they learn, answer, and are servable."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from activesel.images import decode_rgb
from activesel.models import PREDICTIONS
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.train import Trained, TrainRequest, train
from activesel.predictions import read_predictions
from activesel.trainers import load_predictor
from activesel.workspace import Workspace
from tests.pipelines.test_train import KINDS, make_workspace

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(workspace: Workspace, script: str) -> Trained:
    command = f"OMP_NUM_THREADS=1 {sys.executable} {SCRIPTS / script} --epochs 80 --batch 8"
    return train(workspace, TrainRequest(trainer="command", options={"command": command}))


def score(workspace: Workspace, done: Trained) -> float:
    """Return the share of test images that the model is right about."""
    assert done.folder is not None
    entries = read_dataset(workspace, done.dataset).entries
    found = read_predictions(done.folder / PREDICTIONS, {}, [one.example.image_id for one in entries]).probs
    assert found is not None
    right = [KINDS[code] == one.example.label for code, one in zip(found.argmax(1), entries, strict=True)
             if one.split == "test"]  # fmt: skip
    return float(np.mean(right))


@pytest.mark.slow
def test_the_plain_loop(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 36, 36)
    done = run(workspace, "train_plain.py")
    assert score(workspace, done) > 0.7
    assert not run(workspace, "train_plain.py").is_new
    if importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None:
        return
    assert done.folder is not None
    entries = read_dataset(workspace, done.dataset).entries
    predictor = load_predictor(done.folder)
    pictures = [decode_rgb(Path(one.example.path), max_pixels=10**6) for one in entries]
    said = predictor.probabilities(torch.stack([predictor.prepare(picture) for picture in pictures]))
    stored = read_predictions(done.folder / PREDICTIONS, {}, [one.example.image_id for one in entries]).probs
    np.testing.assert_allclose(said, stored, atol=0.02)  # pixels here are rounded to whole numbers


@pytest.mark.slow
def test_the_lightning_one(tmp_path: Path) -> None:
    tried = subprocess.run([sys.executable, "-W", "ignore", "-c", "import lightning"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("lightning is not installed here, or its torchvision does not load; it is no dependency")
    workspace = make_workspace(tmp_path, 36, 36)
    assert score(workspace, run(workspace, "train_lightning.py")) > 0.7
