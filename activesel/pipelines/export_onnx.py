"""A model as an ONNX file, held against torch before anybody may use it, and as a predictor of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from activesel.atomic import whole_file
from activesel.errors import DataError, RefusedError, UsageError
from activesel.models import Predictor

if TYPE_CHECKING:
    import torch

INPUT, OUTPUT = "pixels", "probabilities"
LARGEST_DIFFERENCE = 1e-3  # of a probability, between torch and ONNX Runtime
OPSET = 18
_PROBES = 8  # images of noise and of shapes; two batch sizes, so that the batch's axis is seen to be free


@dataclass(frozen=True)
class Parity:
    """How far two engines agree on the same inputs. difference: the largest of any probability, 0..1."""

    n_images: int
    difference: float


@dataclass(frozen=True)
class Exported:
    path: Path
    n_bytes: int
    input_shape: tuple[int, ...]  # of one image
    classes: tuple[str, ...]
    parity: Parity


class OnnxPredictor:
    """A predictor whose network is an ONNX file; pictures are prepared as the torch model prepares them."""

    device = "cpu"

    def __init__(self, path: Path, like: Predictor, *, threads: int = 1) -> None:
        """threads: of one pass; several passes may run at once.

        Raises:
            DataError: the file is no such network.
        """
        self.classes: Sequence[str] = like.classes
        self.least_px = getattr(like, "least_px", None)
        self._like, self._session = like, _open_session(path, threads)
        if [one.name for one in self._session.get_inputs()] != [INPUT]:
            raise DataError("not an ONNX file of ours", where=str(path), expected=f"one input, {INPUT}")

    def prepare(self, picture: npt.NDArray[np.uint8]) -> torch.Tensor:
        return self._like.prepare(picture)

    def probabilities(self, batch: torch.Tensor) -> npt.NDArray[np.float32]:
        (probs,) = self._session.run([OUTPUT], {INPUT: batch.numpy()})
        return np.asarray(probs, np.float32)


def export_onnx(predictor: Predictor, path: Path) -> Exported:
    """Write the predictor's network as ONNX, weights inside, and keep the file only if it answers as torch does.

    The predictor is the caller's own: its network becomes float32 on the processor, which is what is written.

    Raises:
        RefusedError: what ONNX Runtime answers differs by more than LARGEST_DIFFERENCE.
        UsageError: the network cannot be written as ONNX, or the extra [serve] is not installed.
    """
    network: Any = getattr(predictor, "network", None)
    if network is None:
        raise UsageError("this model has no torch network to export", found=type(predictor).__name__,
                         expected="a model of activesel's own trainers")  # fmt: skip
    network.to("cpu", dtype=_float32())
    probes = probe(predictor)
    with whole_file(path) as stream:  # it gets its name only once it is proven
        unproven = Path(stream.name)
        _write(network, probes, unproven)
        parity = compare(predictor, OnnxPredictor(unproven, predictor), probes)
        if not parity.difference <= LARGEST_DIFFERENCE:
            raise RefusedError("the ONNX file does not answer as the model does", where=str(path),
                               found=f"probabilities {parity.difference:.2g} apart",
                               expected=f"at most {LARGEST_DIFFERENCE:g}")  # fmt: skip
    return Exported(path, path.stat().st_size, tuple(probes.shape[1:]), tuple(predictor.classes), parity)


def compare(first: Predictor, second: Predictor, inputs: torch.Tensor) -> Parity:
    """Let both judge all inputs (n, 3, s, s) at once and one alone."""
    gaps = [np.abs(first.probabilities(part) - second.probabilities(part)).max() for part in (inputs, inputs[:1])]
    return Parity(len(inputs), float(np.max(gaps)))  # NaN stays NaN, and is refused


def probe(predictor: Predictor) -> torch.Tensor:
    """Return inputs (8, 3, s, s): noise, even grey, and dark blots on it, from one seed."""
    import torch

    rng, pictures = np.random.default_rng(0), []
    for i in range(_PROBES):
        picture = np.full((300, 280, 3), 60 + 20 * i, np.float64)
        picture += rng.normal(0, 4 * i, picture.shape)
        picture[20 * i : 20 * i + 40, 100:140] -= 50
        pictures.append(predictor.prepare(picture.clip(0, 255).astype(np.uint8)))
    return torch.stack(pictures)


def _float32() -> Any:
    import torch

    return torch.float32


def _write(network: Any, probes: torch.Tensor, path: Path) -> None:
    """Write the network, its batch's length left open."""
    import logging
    import warnings

    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, about its own future
            torch.onnx.export(
                network, (probes[:2],), str(path), input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET,
                dynamo=True, external_data=False, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            )  # fmt: skip
    except ModuleNotFoundError as error:
        raise UsageError(f"the export needs {error.name}", hint="pip install 'activesel[serve]'") from None
    except Exception as error:  # noqa: BLE001 - the exporter raises whatever its many passes raise
        reason = " ".join(str(error).split())[:200]
        raise UsageError("this network cannot be written as ONNX", found=reason,
                         hint="serve it with --engine torch") from None  # fmt: skip


def _open_session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise UsageError("serving ONNX needs onnxruntime", hint="pip install 'activesel[serve]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its errors have no common base that it tells of
        raise DataError("not an ONNX file that can be run", where=str(path), found=" ".join(str(error).split())[:200],
                        hint="delete it and export the model again") from None  # fmt: skip
