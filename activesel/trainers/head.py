"""The linear head on stored vectors: a model in seconds, served by the embedding network with the head on it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from activesel.config import EmbeddingConfig
from activesel.config.sections import Section
from activesel.dataset import Example, Origin
from activesel.errors import DataError
from activesel.models import ModelCard
from activesel.records import FloatArray, IntArray
from activesel.trainers.exposure import keep_floor
from activesel.trainers.folder import CHECKPOINT
from activesel.trainers.registry import Fit, Trainer, Work, register
from activesel.training.head import LinearHead, fit_head, fit_temperature
from activesel.workspace import write_atomic

if TYPE_CHECKING:
    from activesel.trainers.predictor import NetworkPredictor

BANK = "bank.safetensors"
NEVER = -1e4  # the logit of a class that training had no example of: its probability is 0
_LEAST_VALIDATION = 10  # images; fewer say less of the temperature than the folds of the training images do


class HeadOptions(Section):
    """strength: of the fit, higher = less regularised; None = chosen on folds. real_floor: the share of each class's
    weight that real images keep beside made ones."""

    strength: float | None = Field(default=None, gt=0)
    real_floor: float = Field(default=0.5, ge=0, le=1)


def fit(work: Work, options: HeadOptions, folder: Path) -> Fit:
    """Fit the head to the training images, set its temperature on the validation ones, keep it with its bank."""
    train = [one for one in work.train if one.weight > 0]
    codes, notes = work.codes(train), []
    head = fit_head(_vectors(work, train), codes, len(work.classes), seed=work.seed, strength=options.strength,
                    weights=_weights(train, codes, options.real_floor))  # fmt: skip
    known = [one for one in work.validation if np.isfinite(head.bias[work.classes.index(one.label)])]
    if len(known) >= _LEAST_VALIDATION:
        head = replace(head, temperature=_temperature(head, _vectors(work, known), work.codes(known)))
    else:
        notes.append(f"{len(known)} validation images: the temperature comes from the training images' folds")
    write_atomic(folder / CHECKPOINT, _to_bytes(head))
    if work.bank is not None:
        shutil.copyfile(work.bank, folder / BANK)
    probs = head.probabilities(work.vectors([one.image_id for one in work.asked]))
    about = {"embedding": work.embedding.model_dump(mode="json"), "vectors": work.vectors_key}
    return Fit(probs, about, tuple(notes))


def load(folder: Path, card: ModelCard, device: str) -> NetworkPredictor:
    """Return the embedding network with the head on it; the weights of the network are those of its backbone.

    Raises:
        DataError: the backbone here has other weights than the one whose vectors the head was fitted to.
    """
    from activesel.embedding import open_backbone
    from activesel.trainers.head_network import HeadNetwork
    from activesel.trainers.predictor import NetworkPredictor

    settings = EmbeddingConfig.model_validate({**card.options["embedding"], "device": device, "tiles": 0})
    bank = folder / BANK if settings.pooling == "defect-aware" else None
    backbone = open_backbone(settings, bank)
    if card.options["embedding"]["tiles"] == 0 and backbone.key != card.options["vectors"]:
        raise DataError("this backbone is another one than the model was trained on", where=str(folder),
                        found=backbone.key, expected=str(card.options["vectors"]),
                        hint="put its weights back, or train again")  # fmt: skip
    head = _read(folder / CHECKPOINT, len(card.classes), backbone.dim)
    return NetworkPredictor(HeadNetwork(backbone, head), card.classes, backbone.preprocess, str(backbone.device))


def _vectors(work: Work, examples: Sequence[Example]) -> FloatArray:
    return np.asarray(work.vectors([one.image_id for one in examples]), np.float32)


def _weights(train: Sequence[Example], codes: IntArray, floor: float) -> FloatArray:
    made = np.array([one.origin is Origin.synthetic for one in train], bool)
    return keep_floor(np.array([one.weight for one in train]), codes, made, floor)


def _temperature(head: LinearHead, vectors: FloatArray, codes: IntArray) -> float:
    logits = vectors @ head.weight.T + np.where(np.isfinite(head.bias), head.bias, NEVER)
    return fit_temperature(np.asarray(logits, np.float64), codes)[0]


def _to_bytes(head: LinearHead) -> bytes:
    from safetensors.numpy import save

    bias = np.where(np.isfinite(head.bias), head.bias, NEVER).astype(np.float32)
    tensors = {"weight": head.weight, "bias": bias, "temperature": np.array([head.temperature], np.float32)}
    return bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}))


def _read(path: Path, n_classes: int, dim: int) -> LinearHead:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: dict[str, Any] = load_file(path)
        weight, bias, temperature = found["weight"], found["bias"], found["temperature"]
        if (weight.shape, bias.shape, temperature.shape) != ((n_classes, dim), (n_classes,), (1,)):
            raise ValueError(f"weight {weight.shape}, bias {bias.shape}")
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise DataError("not the checkpoint of this head", where=str(path), found=str(error)[:120],
                        expected=f"{n_classes} classes of {dim} dimensions") from None  # fmt: skip
    return LinearHead(weight, bias, float(temperature[0]))


def _follows_from(work: Work, _options: HeadOptions) -> str:
    return work.vectors_key


HEAD = register(Trainer("head", HeadOptions, _follows_from, fit, load, needs_vectors=True))
