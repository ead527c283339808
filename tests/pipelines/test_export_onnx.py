"""A model as ONNX: it answers as torch does, for any number of images, or it is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from activesel.errors import DataError, RefusedError, UsageError
from activesel.pipelines import export_onnx as onnx_story
from activesel.pipelines.export_onnx import OnnxPredictor, compare, export_onnx, probe
from activesel.pipelines.predictors import export_model, predictor_opener
from activesel.pipelines.train import TrainRequest, train
from activesel.trainers import load_predictor
from activesel.workspace import Workspace, find_workspace
from tests.embedding import tiny_backbone  # noqa: F401 - registers "tiny"
from tests.pipelines.test_train import make_workspace
from tests.serving.toys import Toy

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    workspace = make_workspace(tmp_path_factory.mktemp("onnx"))
    return workspace, train(workspace, TrainRequest()).model_id


@pytest.fixture(scope="module")
def exported(trained: tuple[Workspace, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "model.onnx"
    done = export_model(trained[0], trained[1], path)
    assert isinstance(done, onnx_story.Exported)
    assert done.parity.difference < 1e-5
    return path


def test_it_answers_as_torch_for_any_number_of_images(trained: tuple[Workspace, str], exported: Path) -> None:
    predictor = load_predictor(trained[0].state / "models" / trained[1])
    served = OnnxPredictor(exported, predictor)
    assert (served.classes, served.device) == (predictor.classes, "cpu")
    for n in (1, 2, 7):
        batch = torch.randint(0, 256, (n, *served.prepare(np.zeros((40, 48, 3), np.uint8)).shape)).float()
        np.testing.assert_allclose(served.probabilities(batch), predictor.probabilities(batch), atol=1e-5)
    assert list(exported.parent.iterdir()) == [exported], "nothing unfinished stays"


def test_a_file_that_answers_otherwise_is_not_written(
    trained: tuple[Workspace, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = load_predictor(trained[0].state / "models" / trained[1])

    def write_another(network: torch.nn.Module, probes: torch.Tensor, path: Path) -> None:
        network.weight.data.neg_()  # type: ignore[operator, union-attr]
        write(network, probes, path)
        network.weight.data.neg_()  # type: ignore[operator, union-attr]

    write = onnx_story._write
    monkeypatch.setattr(onnx_story, "_write", write_another)
    with pytest.raises(RefusedError, match="apart"):
        export_onnx(predictor, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_parity_is_not_fooled_by_nan() -> None:
    class Nan(Toy):
        def probabilities(self, batch: torch.Tensor) -> np.ndarray:
            return super().probabilities(batch) * np.float32("nan")

    inputs = probe(Toy())
    assert compare(Toy(), Toy(), inputs).difference == 0
    assert not compare(Toy(), Nan(), inputs).difference <= 1


def test_a_model_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no torch network"):
        export_onnx(Toy(), tmp_path / "a.onnx")


def test_what_is_no_onnx_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="not an ONNX file"):
        OnnxPredictor(path, Toy())


def test_the_server_exports_once_and_holds_the_file_against_torch(
    trained: tuple[Workspace, str], exported: Path
) -> None:
    workspace, model_id = trained
    kept = workspace.state / "onnx" / f"{model_id}.onnx"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(exported.read_bytes())
    folder = workspace.state / "models" / model_id
    assert isinstance(predictor_opener(workspace, "onnx")(folder, "cpu"), OnnxPredictor)
    kept.write_bytes(exported.read_bytes()[:-1000])
    with pytest.raises((DataError, RefusedError), match="delete it"):
        predictor_opener(workspace, "onnx")(folder, "cpu")


def test_a_dry_run_names_the_model(trained: tuple[Workspace, str], tmp_path: Path) -> None:
    workspace = find_workspace(trained[0].root)
    assert export_model(workspace, trained[1], tmp_path / "a.onnx", dry_run=True) == (
        workspace.state / "models" / trained[1]
    )
    with pytest.raises(DataError):
        export_model(workspace, "champion", tmp_path / "a.onnx", dry_run=True)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["plain", "defect-aware"])
def test_the_default_backbone(tmp_path: Path, pooling: str) -> None:
    settings = ("embedding.precision=float32", "embedding.device=cpu", "training.device=cpu",
                "duplicates.similarity=1.0", f"embedding.pooling={pooling}")  # fmt: skip
    workspace = find_workspace(make_workspace(tmp_path, 16, 16).root, settings)
    done = export_model(workspace, train(workspace, TrainRequest()).model_id, tmp_path / "a.onnx")
    assert isinstance(done, onnx_story.Exported)
    assert done.parity.difference < 1e-4
