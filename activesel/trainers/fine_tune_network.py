"""The network that is fine-tuned: a backbone, a classifier on it, and where masks are known a small decoder."""

from __future__ import annotations

import threading

import torch
from torch import Tensor, nn
from torch.nn import functional

from activesel.embedding.network import PixelNetwork
from activesel.embedding.patches import Sites, find_sites
from activesel.embedding.registry import Preprocess

DECODER_WIDTH = 64
LEAST_LOGIT = -4.0  # of the decoder's first answer: defects are a small share of the pixels


class Normalise(nn.Module):
    """Values 0..255 to what the backbone was trained on."""

    mean: Tensor
    scale: Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(preprocess.std).view(1, 3, 1, 1) * 255))

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) * self.scale


class Decoder(nn.Module):
    """Two maps of the backbone, of a cell per 16 pixels and the last, to a logit per 8 pixels: a defect or not."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(channels, DECODER_WIDTH, 1)
        self.coarse = nn.Conv2d(depth, DECODER_WIDTH, 1)
        self.join = nn.Conv2d(DECODER_WIDTH, DECODER_WIDTH, 3, padding=1)
        self.out = nn.Conv2d(DECODER_WIDTH, 1, 3, padding=1)
        nn.init.constant_(self.out.bias, LEAST_LOGIT)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return (b, 1, 2h, 2w) logits of maps (b, c, h, w) and (b, e, h', w')."""
        up = functional.interpolate(self.coarse(coarse), size=fine.shape[2:], mode="nearest")
        joined = functional.relu(self.join(functional.relu(self.fine(fine) + up)))
        logits: Tensor = self.out(functional.interpolate(joined, scale_factor=2.0, mode="nearest"))
        return logits


class Tuned(nn.Module):
    """(b, 3, h, w) float32, values 0..255 -> logits (b, c), and of masks (b, 1, h', w') or None.

    The classifier starts at zero: no class is likelier than another. With masks it also sees how sure the decoder is of
    its surest cell, and the mean over cells. Batch norms keep their statistics: those of a few images would be noise.
    """

    def __init__(
        self, features: nn.Module, preprocess: Preprocess, dim: int, n_classes: int, sites: Sites | None
    ) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess)
        self.features = features
        self.decoder = Decoder(sites.channels, sites.depth) if sites is not None else None
        self.head = nn.Linear(dim + (2 if sites is not None else 0), n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self._kept = threading.local()  # a pass's maps: several threads may ask at once
        if sites is not None:
            modules = dict(features.named_modules())
            modules[sites.middle].register_forward_hook(self._keep_fine)
            modules[sites.last].register_forward_hook(self._keep_coarse)

    def _keep_fine(self, _module: nn.Module, _inputs: object, out: Tensor) -> None:
        self._kept.fine = out.clone()  # what follows may work in place

    def _keep_coarse(self, _module: nn.Module, _inputs: object, out: Tensor) -> None:
        self._kept.coarse = out.clone()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        pooled = self.features(self.normalise(pixels).contiguous(memory_format=torch.channels_last))
        if self.decoder is None:
            return self.head(pooled), None
        masks = self.decoder(self._kept.fine, self._kept.coarse)
        del self._kept.fine, self._kept.coarse
        seen = masks.float().flatten(1).sigmoid()
        return self.head(torch.cat((pooled, seen.amax(dim=1, keepdim=True), seen.mean(dim=1, keepdim=True)), 1)), masks


class Answering(nn.Module):
    """(b, 3, h, w) float32, values 0..255 -> (b, c) probabilities, at a temperature."""

    def __init__(self, tuned: Tuned, temperature: float) -> None:
        super().__init__()
        self.tuned = tuned
        self.temperature = temperature

    def forward(self, pixels: Tensor) -> Tensor:
        probs: Tensor = (self.tuned(pixels)[0].float() / self.temperature).softmax(dim=1)
        return probs

    def masks(self, pixels: Tensor) -> Tensor | None:
        """Return (b, h', w') how sure each cell is a defect, 0..1, None for a network without a decoder."""
        logits = self.tuned(pixels)[1]
        return None if logits is None else logits[:, 0].float().sigmoid()


def find_maps(features: nn.Module, preprocess: Preprocess, name: str) -> Sites:
    """Return where the decoder reads its maps.

    Raises:
        ConfigError: a network without maps, such as a transformer.
    """
    return find_sites(PixelNetwork(features, preprocess), name)


def count_dim(features: nn.Module, preprocess: Preprocess) -> int:
    """Return d, from one blank image."""
    with torch.inference_mode():
        blank = torch.zeros(1, 3, preprocess.height_px, preprocess.width_px)
        return int(features(blank).shape[1])


def freeze(features: nn.Module, share: float) -> None:
    """Let the first layers, this share (0..1) of the tensors, stay as they are; all others learn."""
    parameters = list(features.parameters())
    n_frozen = round(share * len(parameters))
    for number, parameter in enumerate(parameters):
        parameter.requires_grad_(number >= n_frozen)
