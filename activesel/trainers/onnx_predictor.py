"""A network as an ONNX file that answers: for models whose training is not ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from activesel.config.sections import Section
from activesel.embedding.registry import Preprocess
from activesel.errors import DataError, UnreachableError
from activesel.images import decode_rgb
from activesel.uncertainty import check_probs

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 2 << 30
MAX_PREPARE_BYTES = 1 << 16
Three = tuple[float, float, float]


class Prepare(Section):
    """How pixels become the input: the whole image stretched to this size, then (value / 255 - mean) / std, RGB."""

    schema_version: Literal[1]
    height_px: int = Field(ge=1, le=4096)
    width_px: int = Field(ge=1, le=4096)
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


def read_prepare(path: Path) -> dict[str, Any]:
    """Return what prepare.json says, checked.

    Raises:
        DataError: no such file, or something else in it.
    """
    try:
        if path.is_symlink() or path.stat().st_size > MAX_PREPARE_BYTES:
            raise ValueError("a link, or too long")
        found = Prepare.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError("not how pixels are prepared", where=str(path), found=str(first["input"])[:80],
                        expected=f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None  # fmt: skip
    except (OSError, ValueError) as error:
        raise DataError("model.onnx needs a prepare.json beside it", where=str(path), found=str(error)[:120],
                        hint="see docs/trainers.md") from None  # fmt: skip
    if min(found.std) <= 0:
        raise DataError("a std is not above 0", where=str(path), found=str(min(found.std)))
    return found.model_dump(mode="json")


class OnnxPredictor:
    """A predictor (activesel.models). The file: input (b, 3, h, w) float32, output (b, c) probabilities."""

    def __init__(self, path: Path, classes: Sequence[str], prepare: Mapping[str, Any], device: str) -> None:
        """Open the network.

        Raises:
            DataError: the file is none, or has other inputs or outputs. UnreachableError: no onnxruntime here.
        """
        how = Prepare.model_validate(dict(prepare))
        self.classes: Sequence[str] = tuple(classes)
        self.device = device
        self.preprocess = Preprocess(how.height_px, how.width_px, how.mean, how.std, how.interpolation)
        self._where = str(path)
        self._session = _open(path, device)
        self._input = self._session.get_inputs()[0].name

    @property
    def least_px(self) -> int:
        """The short side that a picture should have at least; a JPEG may be decoded smaller down to it."""
        return max(self.preprocess.height_px, self.preprocess.width_px)

    def prepare(self, picture: npt.NDArray[np.uint8]) -> Tensor:
        """Return (3, h, w) float32 of a picture (h, w, 3) RGB, or grey (h, w, 1)."""
        import torch

        from activesel.embedding.decoding import resize

        resized = resize(np.array(picture, np.uint8, order="C"), self.preprocess).float().expand(3, -1, -1) / 255
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.preprocess.mean, self.preprocess.std))
        return ((resized - mean) / std).contiguous()

    def probabilities(self, batch: Tensor) -> npt.NDArray[np.float32]:
        """Return (b, c), rows sum to 1.

        Raises:
            DataError: the network says something else.
        """
        try:
            probs = np.asarray(self._session.run(None, {self._input: batch.float().numpy()})[0], np.float32)
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no class of their own
            raise DataError("the network cannot be run", where=self._where, found=" ".join(str(error).split())[:160],
                            expected=f"an input {tuple(batch.shape)}") from None  # fmt: skip
        if probs.shape != (len(batch), len(self.classes)):
            raise DataError("the network answers in another shape", where=self._where, found=str(probs.shape),
                            expected=str((len(batch), len(self.classes))))  # fmt: skip
        return check_probs(probs, len(batch), self._where)

    def ask_files(self, paths: Sequence[Path], max_pixels: int) -> npt.NDArray[np.float32]:
        """Return (n, c) of some image files."""
        import torch

        pictures = [decode_rgb(path, max_pixels=max_pixels, at_least_px=self.least_px) for path in paths]
        return self.probabilities(torch.stack([self.prepare(picture) for picture in pictures]))


def _open(path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UnreachableError(
            "onnxruntime is not installed", where=str(path), hint="pip install onnxruntime"
        ) from None
    if path.stat().st_size > MAX_BYTES:
        raise DataError("the network is too large", where=str(path), found=f"{path.stat().st_size} bytes",
                        expected=f"at most {MAX_BYTES}")  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    wanted = [one for one in wanted if one in onnxruntime.get_available_providers()] + ["CPUExecutionProvider"]
    try:  # from bytes: weights outside of the file are then never looked for
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=wanted)
        shape = session.get_inputs()[0].shape
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no class of their own
        raise DataError("not a network that can be run", where=str(path), found=" ".join(str(error).split())[:160],
                        expected="a self-contained ONNX file") from None  # fmt: skip
    is_picture = len(shape) == 4 and (not isinstance(shape[1], int) or shape[1] == 3)  # texts are free sizes
    if len(session.get_inputs()) != 1 or not is_picture:
        raise DataError("the network takes another input", where=str(path), found=str(shape), expected="(b, 3, h, w)")
    return session
