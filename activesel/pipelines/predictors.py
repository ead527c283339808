"""Models of a workspace, ready to answer: by torch, or by ONNX Runtime from a file that was held against torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from activesel.errors import RefusedError
from activesel.models import Predictor
from activesel.pipelines.export_onnx import LARGEST_DIFFERENCE, Exported, OnnxPredictor, compare, export_onnx
from activesel.pipelines.export_onnx import probe as probes_of
from activesel.pipelines.model_files import find_model, models_folder
from activesel.workspace import Workspace


def predictor_opener(workspace: Workspace, engine: str) -> Callable[[Path, str], Predictor]:
    """Return what opens the model in a folder on a device; engine: "torch" or "onnx"."""
    from activesel.trainers import load_predictor

    def open_onnx(folder: Path, _device: str) -> Predictor:
        predictor = load_predictor(folder, "cpu")
        path = workspace.state / "onnx" / f"{folder.name}.onnx"
        if not path.exists():
            export_onnx(predictor, path)
        served = OnnxPredictor(path, predictor)
        parity = compare(predictor, served, probes_of(predictor))
        if not parity.difference <= LARGEST_DIFFERENCE:
            raise RefusedError("the ONNX file does not answer as the model does", where=str(path),
                               found=f"probabilities {parity.difference:.2g} apart", hint="delete it")  # fmt: skip
        return served

    return open_onnx if engine == "onnx" else load_predictor


def export_model(workspace: Workspace, name: str, path: Path, *, dry_run: bool = False) -> Exported | Path:
    """Write a model as ONNX; name: an alias or an id. A dry run returns the model's folder.

    Raises:
        DataError: there is no such model. RefusedError: ONNX Runtime does not answer as torch does.
    """
    from activesel.trainers import load_predictor

    folder = models_folder(workspace) / find_model(workspace, name)
    if dry_run:
        return folder
    return export_onnx(load_predictor(folder, "cpu"), path)
