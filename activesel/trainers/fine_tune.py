"""Fine-tuning of any backbone on the images themselves, with a decoder for masks where the dataset has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from activesel.config import EmbeddingConfig
from activesel.config.sections import Section
from activesel.dataset import Example, Origin
from activesel.errors import ConfigError, DataError
from activesel.heap import kept_heap
from activesel.models import ModelCard
from activesel.trainers.folder import CHECKPOINT
from activesel.trainers.registry import Fit, Trainer, Work, register
from activesel.training.head import DEFAULT_TEMPERATURE, fit_temperature
from activesel.workspace import write_atomic

if TYPE_CHECKING:
    import torch
    from torch import nn

    from activesel.embedding.registry import Preprocess
    from activesel.trainers.fine_tune_network import Tuned
    from activesel.trainers.pictures import Pictures
    from activesel.trainers.predictor import NetworkPredictor

BACKBONE = "backbone.safetensors"
FUSED_FROM = 10  # validation images below which their temperature says nothing


class FineTuneOptions(Section):
    """backbone, checkpoint: as embedding.backbone and embedding.checkpoint, which count where they are not given.
    side_px: of the square that images are stretched to; None = the backbone's own. frozen: share of the layers, the
    first ones, that stay as they are. masks: learn masks where the dataset has them. floor and the rest:
    docs/trainers.md.
    """

    backbone: str | None = None
    checkpoint: str | None = None
    side_px: int | None = Field(default=None, ge=16, le=2048)
    frozen: float = Field(default=0.0, ge=0, le=1)
    masks: bool = True
    mask_weight: float = Field(default=1.0, ge=0)
    epochs: int = Field(default=20, ge=1, le=10_000)
    epoch_images: int | None = Field(default=None, ge=1)
    batch: int = Field(default=16, ge=1, le=4096)
    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    ema: float = Field(default=0.99, ge=0, lt=1)
    patience: int = Field(default=5, ge=1)
    real_floor: float = Field(default=0.5, ge=0, le=1)
    flips: bool = True
    light: float = Field(default=0.15, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@dataclass(frozen=True)
class _Built:
    """A network ready to learn. uses_masks: whether it has a decoder."""

    tuned: Tuned
    preprocess: Preprocess
    notes: tuple[str, ...]


def fit(work: Work, options: FineTuneOptions, folder: Path) -> Fit:
    """Train, set the temperature on the validation images, write backbone and classifier, and predict in float32."""
    import torch

    from activesel.embedding.forward import gpu_thread

    def run() -> Fit:
        with kept_heap(), torch.random.fork_rng():  # layers made anew draw from torch's own generator
            torch.manual_seed(work.seed)
            return _fit(work, options, folder)

    return gpu_thread().submit(run).result() if work.device.startswith("cuda") else run()


def load(folder: Path, card: ModelCard, device: str) -> NetworkPredictor:
    """Return the fine-tuned network, ready to answer; its batch norms are folded away where that changes nothing.

    Raises:
        DataError: a checkpoint that does not fit.
    """
    from activesel.embedding.network import fuse_batchnorm
    from activesel.embedding.registry import find_recipe
    from activesel.trainers.fine_tune_network import Answering, Tuned, count_dim, find_maps
    from activesel.trainers.predictor import NetworkPredictor

    features, own = find_recipe(card.options["backbone"], folder / BACKBONE).build()
    preprocess = _sized(own, card.options["side_px"])
    features = fuse_batchnorm(features, preprocess)
    sites = find_maps(features, preprocess, card.options["backbone"]) if card.options["has_masks"] else None
    tuned = Tuned(features, preprocess, count_dim(features, preprocess), len(card.classes), sites)
    _load_rest(tuned, folder / CHECKPOINT)
    network = Answering(tuned.requires_grad_(False), float(card.options["temperature"])).eval().to(device)
    return NetworkPredictor(network, card.classes, preprocess, device)


def _fit(work: Work, options: FineTuneOptions, folder: Path) -> Fit:
    from activesel.trainers.fine_tune_loop import Side, predict, train_epochs

    built = _build(work, options)
    tuned, train = built.tuned, [one for one in work.train if one.weight > 0]
    opened = [_open(work, some, built) for some in (train, work.validation, work.asked)]
    try:
        side = Side(opened[0], work.codes(train))
        held = Side(opened[1], work.codes(work.validation)) if work.validation else None
        stock = _stock(work, train)
        history = train_epochs(
            tuned, _plan(work, options, stock), side, stock, held, work.scratch, _dtype(work, options)
        )
        temperature, notes = _temperature(tuned, held, stock)
        _write(tuned, folder)
        logits = predict(tuned, opened[2]).astype(np.float64) / temperature
    finally:
        for pictures in opened:
            pictures.close()
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    about = {
        "backbone": options.backbone or work.embedding.backbone, "side_px": built.preprocess.height_px,
        "has_masks": tuned.decoder is not None, "temperature": temperature, "epochs_done": history.epoch,
        "best_epoch": history.best, "validation_losses": [None if np.isnan(one) else one for one in history.losses],
    }  # fmt: skip
    return Fit(np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32), about, (*built.notes, *notes))


def _build(work: Work, options: FineTuneOptions) -> _Built:
    from activesel.embedding.registry import find_recipe
    from activesel.trainers.fine_tune_network import Tuned, count_dim, find_maps, freeze

    config = _embedding(work, options)
    checkpoint = None if config.checkpoint is None else Path(config.checkpoint).expanduser().resolve()
    features, own = find_recipe(config.backbone, checkpoint).build()
    preprocess, sites, notes = _sized(own, options.side_px), None, []
    if options.masks and any(one.mask or one.shapes for one in work.train):
        try:
            sites = find_maps(features, preprocess, config.backbone)
        except ConfigError:
            notes.append(f"{config.backbone} has no maps, so masks are not learned")
    freeze(features, options.frozen)
    tuned = Tuned(features, preprocess, count_dim(features, preprocess), len(work.classes), sites)
    return _Built(tuned.eval().to(work.device), preprocess, tuple(notes))


def _embedding(work: Work, options: FineTuneOptions) -> EmbeddingConfig:
    """Return the settings that name the backbone to start from."""
    if options.backbone is None and options.checkpoint is None:
        return work.embedding
    backbone = options.backbone or work.embedding.backbone
    return work.embedding.model_copy(update={"backbone": backbone, "checkpoint": options.checkpoint})


def _sized(own: Preprocess, side_px: int | None) -> Preprocess:
    return own if side_px is None else replace(own, height_px=side_px, width_px=side_px)


def _open(work: Work, examples: Sequence[Any], built: _Built) -> Pictures:
    from activesel.trainers.pictures import Pictures, Source

    masks = built.tuned.decoder is not None
    sources = [
        Source(one.path, one.mask, work.shapes.get(one.shapes, ""), one.label == work.good)
        if isinstance(one, Example) else Source(one.path) for one in examples
    ]  # fmt: skip
    return Pictures(sources, built.preprocess, max_pixels=work.max_pixels, masks=masks)


def _stock(work: Work, train: Sequence[Example]) -> Any:
    from activesel.trainers.sampling import Stock

    made = np.array([one.origin is Origin.synthetic for one in train], bool)
    good = -1 if work.good is None else work.classes.index(work.good)
    return Stock(work.codes(train), made, np.array([one.weight for one in train]), good)


def _plan(work: Work, options: FineTuneOptions, stock: Any) -> Any:
    from activesel.trainers.fine_tune_loop import Plan
    from activesel.trainers.pictures import Changes

    n_images = options.epoch_images or int((~stock.is_made).sum()) or len(stock.classes)
    return Plan(
        options.epochs, options.batch, max(1, -(-n_images // options.batch)), options.learning_rate,
        options.weight_decay, options.warmup, options.ema, options.patience, options.real_floor, options.mask_weight,
        Changes(options.flips, options.light), work.seed,
    )  # fmt: skip


def _dtype(work: Work, options: FineTuneOptions) -> torch.dtype:
    import torch

    from activesel.tensors import cpu_multiplies_bfloat16

    if options.precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[options.precision]
    native = torch.cuda.is_bf16_supported() if work.device.startswith("cuda") else cpu_multiplies_bfloat16()
    return torch.bfloat16 if native else torch.float32


def _temperature(tuned: Tuned, held: Any, stock: Any) -> tuple[float, list[str]]:
    """Return the temperature of the validation images whose class was trained."""
    from activesel.trainers.fine_tune_loop import predict

    known = np.flatnonzero(np.isin(held.classes, stock.classes)) if held is not None else np.empty(0, np.int64)
    if len(known) < FUSED_FROM:
        return DEFAULT_TEMPERATURE, [f"{len(known)} validation images: the temperature is set to {DEFAULT_TEMPERATURE}"]
    logits = predict(tuned, held.pictures)[known]
    return fit_temperature(np.asarray(logits, np.float64), held.classes[known])[0], []


def _write(tuned: Tuned, folder: Path) -> None:
    """Write the backbone as embedding.checkpoint takes it, and the rest."""
    from safetensors.torch import save

    def plain(module: nn.Module, skipped: str = "") -> bytes:
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()
                   if not skipped or not name.startswith(skipped)}  # fmt: skip
        return bytes(save(tensors))

    write_atomic(folder / BACKBONE, plain(tuned.features))
    write_atomic(folder / CHECKPOINT, plain(tuned, "features."))


def _load_rest(tuned: Tuned, path: Path) -> None:
    from activesel.embedding.checkpoints import read_state_dict

    found = read_state_dict(path)
    own = {name: value for name, value in tuned.state_dict().items() if not name.startswith("features.")}
    if {name: value.shape for name, value in found.items()} != {name: value.shape for name, value in own.items()}:
        raise DataError("not the checkpoint of this network", where=str(path),
                        found=f"{len(found)} tensors", expected=f"{len(own)} of the same shapes")  # fmt: skip
    tuned.load_state_dict(found, strict=False)


def _follows_from(work: Work, options: FineTuneOptions) -> str:
    from activesel.embedding import backbone_key

    return backbone_key(_embedding(work, options))


FINE_TUNE = register(Trainer("fine-tune", FineTuneOptions, _follows_from, fit, load))
