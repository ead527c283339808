"""Which files of a model go to another registry: its weights, its card, its evaluation; never images or predictions."""

from __future__ import annotations

from activesel.models import CARD, EVALUATION, ModelCard
from activesel.pipelines.model_files import models_folder
from activesel.tools.mlflow_files import ModelFile
from activesel.trainers.folder import digest_of
from activesel.workspace import Workspace

WEIGHTS = (".safetensors", ".pt", ".pth", ".onnx")
MAX_FILE_BYTES = 8 << 30  # of one file that is sent; larger ones are named instead
_ONNX = "model.onnx"


def find_files(workspace: Workspace, card: ModelCard) -> tuple[list[ModelFile], list[str]]:
    """Return a model's files that go there, weights with the digest that the card has, and a note on each that does not
    go, being gone or too large."""
    folder = models_folder(workspace) / card.model_id
    named = {name: digest for name, digest in card.files.items() if name.endswith(WEIGHTS)}
    weights = {name: digest for name, digest in named.items() if (folder / name).is_file()}
    notes = [f"{card.model_id}: {name} was not pushed, it is gone" for name in named if name not in weights]
    found = [ModelFile(name, folder / name, digest) for name, digest in weights.items()]
    beside = {CARD: folder / CARD, EVALUATION: folder / EVALUATION}
    if _ONNX not in weights:  # what `activesel models export` and `serve` made of it
        beside[_ONNX] = workspace.state / "onnx" / f"{card.model_id}.onnx"
    found += [ModelFile(name, path, digest_of(path)) for name, path in beside.items()
              if path.is_file() and not path.is_symlink()]  # fmt: skip
    large = [one for one in found if one.path.stat().st_size > MAX_FILE_BYTES]
    notes += [f"{card.model_id}: {one.name} was not pushed, it has more than {MAX_FILE_BYTES >> 30} GiB"
             for one in large]  # fmt: skip
    return [one for one in found if one not in large], notes
