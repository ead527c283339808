"""What turns a bare network into one that takes uint8 pixels fast: normalisation inside, batch norms folded away."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from activesel.embedding.registry import Preprocess
from activesel.errors import ConfigError

_SAME_DIRECTION = 0.9999  # cosine below which a folded network is not the same network


class PixelNetwork(nn.Module):
    """(b, 3, h, w) uint8 -> (b, d) float32 pooled features."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.features = features
        self.height_px, self.width_px = preprocess.height_px, preprocess.width_px
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(preprocess.std).view(1, 3, 1, 1) * 255))

    def to_device(self, device: torch.device, dtype: torch.dtype) -> PixelNetwork:
        """Move weights and arithmetic; channels-last, which both CPU and GPU convolutions prefer."""
        moved = self.to(device=device, dtype=dtype).requires_grad_(False)
        for parameter in moved.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return moved

    def forward(self, pixels: Tensor) -> Tensor:
        # 0..255 is exact in bfloat16, and the mean is subtracted before anything is rounded to its 8 bits.
        x = pixels.to(dtype=self.mean.dtype, memory_format=torch.channels_last)
        pooled: Tensor = self.features(x.sub_(self.mean).mul_(self.scale))
        return pooled.float()


def infer_dim(network: PixelNetwork, name: str) -> int:
    """Return d, from one blank image.

    Raises:
        ConfigError: the output is not one vector per image.
    """
    blank = torch.zeros(1, 3, network.height_px, network.width_px, dtype=torch.uint8, device=network.mean.device)
    with torch.inference_mode():
        pooled = network(blank)
    if not isinstance(pooled, Tensor) or pooled.ndim != 2 or len(pooled) != 1:
        raise ConfigError("this backbone does not give one vector per image", where="embedding.backbone",
                          found=repr(name), hint="choose an image classifier")  # fmt: skip
    return int(pooled.shape[1])


def fuse_batchnorm(features: nn.Module, preprocess: Preprocess) -> nn.Module:
    """Return the network with each batch norm folded into the convolution before it: fewer passes over memory.

    Which convolution feeds a batch norm is read from the order in which layers were registered, which need not be the
    order in which they run; so the result is compared with the original, and given up where it differs.
    """
    fused = copy.deepcopy(features)
    if not _fuse_children(fused):
        return features
    # The same noise on each run, without touching the global generator.
    noise = torch.randn(2, 3, preprocess.height_px, preprocess.width_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = features(noise), fused(noise)
    same = torch.cosine_similarity(before.flatten(1), after.flatten(1)).min() > _SAME_DIRECTION
    return fused if bool(same) else features


def _fuse_children(module: nn.Module) -> int:
    """Fold in place; return how many batch norms are gone."""
    n_fused = 0
    previous: nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(previous, nn.Conv2d) and isinstance(child, nn.BatchNorm2d) and _fold(previous, child):
            setattr(module, name, _what_follows(child))
            n_fused += 1
        else:
            n_fused += _fuse_children(child)
        previous = child
    return n_fused


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None or norm.num_features != conv.out_channels:
        return False
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
    return True


def _what_follows(norm: nn.BatchNorm2d) -> nn.Module:
    """Return the activation that timm keeps inside its batch norms, working in place, or nothing."""
    activation = getattr(norm, "act", None)
    if not isinstance(activation, nn.Module):
        return nn.Identity()
    if hasattr(activation, "inplace"):
        setattr(activation, "inplace", True)  # noqa: B010 - its input is the convolution's output, which nothing else holds
    return activation
