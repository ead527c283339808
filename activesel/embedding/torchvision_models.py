"""Any classifier of torchvision as a backbone: `torchvision:NAME` with a checkpoint, or `torchvision:NAME@download`."""

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
from activesel.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

_HEADS = ("fc", "classifier", "heads", "head")  # where torchvision's families keep their classifier


@backbone_family("torchvision:")
def torchvision_model(request: Request) -> Recipe:
    """A network of torchvision.models."""
    return recipe_of("torchvision", request, _build)


def _build(name: str, checkpoint: Path | None) -> tuple[nn.Module, Preprocess]:
    declare_torchvision_operators()
    import torchvision
    from torchvision import models

    known = models.list_models(module=torchvision.models)  # without the detection and video families
    if name not in known:
        raise unknown_name(
            f"torchvision:{name}", [f"torchvision:{other}" for other in known], where="embedding.backbone"
        )
    weights = models.get_model_weights(name).DEFAULT
    module = _fetch(name, weights) if checkpoint is None else models.get_model(name, weights=None)
    head = _remove_head(module, name)
    if checkpoint is not None:
        load_by_name(module, checkpoint, head=(head,))
    return module.eval(), _preprocess_of(weights.transforms())


def _fetch(name: str, weights: Any) -> nn.Module:
    from torchvision import models

    try:
        module: nn.Module = models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:  # no network; a file whose hash is wrong
        raise cannot_fetch(f"torchvision:{name}", error) from None
    return module


def _remove_head(module: nn.Module, name: str) -> str:
    """Replace the classifier's last linear layer by nothing; return the prefix of its tensors' names."""
    from torch import nn

    for attribute in _HEADS:
        head = getattr(module, attribute, None)
        if isinstance(head, nn.Linear):
            setattr(module, attribute, nn.Identity())
            return f"{attribute}."
        if isinstance(head, nn.Sequential):
            for key, layer in reversed(list(head.named_children())):
                if isinstance(layer, nn.Linear):
                    setattr(head, key, nn.Identity())
                    return f"{attribute}.{key}."
    raise ConfigError("cannot tell this network's classifier from its features", where="embedding.backbone",
                      found=f"'torchvision:{name}'", hint="choose another, or one of timm: timm:NAME")  # fmt: skip


def _preprocess_of(transforms: Any) -> Preprocess:
    (size,) = transforms.crop_size
    interpolation = "bicubic" if transforms.interpolation.value == "bicubic" else "bilinear"
    mean, std = tuple(transforms.mean), tuple(transforms.std)
    return Preprocess(size, size, mean=mean, std=std, interpolation=interpolation)  # type: ignore[arg-type]
