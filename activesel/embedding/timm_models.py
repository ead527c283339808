"""Any model of timm as a backbone: `timm:NAME` with the user's checkpoint, or `timm:NAME@download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from activesel.embedding.checkpoints import load_by_name
from activesel.embedding.registry import (
    Preprocess,
    Recipe,
    Request,
    backbone_family,
    cannot_fetch,
    recipe_of,
    unknown_name,
)
from activesel.embedding.torchvision_shim import declare_torchvision_operators

if TYPE_CHECKING:
    from torch import nn


@backbone_family("timm:")
def timm_model(request: Request) -> Recipe:
    """A network of PyTorch Image Models (github.com/huggingface/pytorch-image-models)."""
    return recipe_of("timm", request, _build)


def _build(name: str, checkpoint: Path | None) -> tuple[nn.Module, Preprocess]:
    declare_torchvision_operators()
    import timm

    if not timm.is_model(name):
        raise unknown_name(
            f"timm:{name}", [f"timm:{known}" for known in timm.list_models()], where="embedding.backbone"
        )
    if checkpoint is None:
        module = _fetch(name)
    else:
        module = timm.create_model(name, pretrained=False, num_classes=0)
        heads = module.pretrained_cfg.get("classifier") or "head"
        heads = (heads,) if isinstance(heads, str) else heads
        load_by_name(module, checkpoint, head=tuple(f"{head}." for head in heads))
    return module.eval(), _preprocess_of(timm.data.resolve_model_data_config(module))


def _fetch(name: str) -> nn.Module:
    import timm

    try:
        module: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:  # what the hub's client raises without network or weights
        raise cannot_fetch(f"timm:{name}", error) from None
    return module


def _preprocess_of(config: dict[str, Any]) -> Preprocess:
    _, height, width = config["input_size"]
    interpolation = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    return Preprocess(height, width, mean=tuple(config["mean"]), std=tuple(config["std"]), interpolation=interpolation)  # type: ignore[arg-type]
