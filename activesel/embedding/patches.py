"""What turns a pixel network into one that looks at patches: the maps inside it, pooled by distance to the bank."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from activesel.embedding.banks import Bank
from activesel.embedding.network import PixelNetwork
from activesel.errors import ConfigError

STRIDE = 16  # pixels of the input per patch: 14 x 14 patches of a 224 x 224 image
MOST_DEPTH = 2  # "blocks.4" is a stage; the layers inside a stage have widened or half-made channels
SHARPNESS = 1.0  # weight of a patch: exp(SHARPNESS * usual deviations of its distance)
MOST_DEVIATIONS = 15.0  # beyond it a patch is as odd as can be: keeps exp() in range


class Sites(NamedTuple):
    """Where the maps are read: names of modules, and the patches' grid. last: the final map, before pooling."""

    middle: str
    last: str
    rows: int
    columns: int
    channels: int
    depth: int  # channels of the last map


def find_sites(network: PixelNetwork, name: str) -> Sites:
    """Run a blank image and find the last stage with a patch per 16 pixels, and the last map of all.

    Raises:
        ConfigError: the network has no maps, as transformers have none.
    """
    shapes: list[tuple[str, tuple[int, ...]]] = []
    ends_in_maps = False

    def watch(at: str, module: nn.Module) -> RemovableHandle:
        def note(_module: nn.Module, _inputs: object, out: object) -> None:
            nonlocal ends_in_maps
            if not isinstance(out, Tensor) or out[0].numel() == max(out.shape[1:]):
                return  # a vector, whatever its shape
            ends_in_maps = _is_map(out, network)  # tokens of transformers are none, nor channels-last ones
            if ends_in_maps:
                shapes.append((at, tuple(out.shape)))

        return module.register_forward_hook(note)

    stages = [(at, module) for at, module in network.features.named_modules() if at and at.count(".") < MOST_DEPTH]
    watches = [watch(at, module) for at, module in stages]
    blank = torch.zeros(1, 3, network.height_px, network.width_px, dtype=torch.uint8, device=network.mean.device)
    try:
        with torch.inference_mode():
            network(blank)
    finally:
        for handle in watches:
            handle.remove()
    least = (-(-network.height_px // STRIDE), -(-network.width_px // STRIDE))
    fine = [(at, shape) for at, shape in shapes if shape[2] >= least[0] and shape[3] >= least[1]]
    if not fine or not ends_in_maps:
        raise ConfigError("this backbone has no maps to pool patches from", where="embedding.pooling", found=repr(name),
                          expected="a convolutional network", hint="set embedding.pooling=plain")  # fmt: skip
    (middle, (_, channels, rows, columns)), (last, (_, depth, *_)) = fine[-1], shapes[-1]
    return Sites(middle, last, rows, columns, channels, depth)


def _is_map(out: Tensor, network: PixelNetwork) -> bool:
    """Tell whether this is (b, channels, rows, columns), as many rows to columns as the input has pixels."""
    if out.ndim != 4 or min(out.shape[2:]) < 2:
        return False
    rows, columns = out.shape[2:]
    return abs(rows * network.width_px - columns * network.height_px) <= max(network.width_px, network.height_px)


class PatchNetwork(nn.Module):
    """Runs the network and keeps two of the maps inside it; usable from several threads at once."""

    def __init__(self, network: PixelNetwork, sites: Sites) -> None:
        super().__init__()
        self.network = network
        self.sites = sites
        self._kept = threading.local()
        modules = dict(network.features.named_modules())
        modules[sites.middle].register_forward_hook(self._keep_middle)
        modules[sites.last].register_forward_hook(self._keep_last)

    def _keep_middle(self, _module: nn.Module, _inputs: object, out: Tensor) -> None:
        # Each patch with its 8 neighbours, as in PatchCore (arXiv:2106.08265, eq. 2): defects do not end at cells.
        self._kept.middle = functional.avg_pool2d(out, 3, stride=1, padding=1, count_include_pad=False)

    def _keep_last(self, _module: nn.Module, _inputs: object, out: Tensor) -> None:
        self._kept.last = out.amax(dim=(2, 3)).float()  # at once: what follows may work in place

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (b, d) pooled features, (b, m, c) raw patches row by row, (b, e) the last map's peaks by channel."""
        pooled = self.network(pixels)
        middle, last = self._kept.middle, self._kept.last
        del self._kept.middle, self._kept.last
        return pooled, middle.flatten(2).transpose(1, 2).float(), last


def open_patch_network(network: nn.Module, name: str) -> PatchNetwork:
    """Return a network that shows its maps; ``network`` is the plain backbone's module, ``name`` what users call it.

    Raises:
        ConfigError: the network has no maps.
    """
    assert isinstance(network, PixelNetwork), f"{type(network).__name__} is no pixel network"
    return PatchNetwork(network, find_sites(network, name)).eval()


class RawPatches(nn.Module):
    """(b, 3, h, w) uint8 -> (b, m * c) raw patches: what a bank is made from."""

    def __init__(self, patches: PatchNetwork) -> None:
        super().__init__()
        self.patches = patches

    def forward(self, pixels: Tensor) -> Tensor:
        return self.patches.look(pixels)[1].flatten(1)


class DefectAware(nn.Module):
    """(b, 3, h, w) uint8 -> (b, d + e + c + 1 + m) float32, per image:

    d pooled features; the peaks of e channels of the last map; c channels of the standardised patches, averaged with
    weights that grow with each patch's distance to the bank; the logarithm of the sum of those weights, so that tiles
    can be averaged on; the m distances, in usual deviations from what is usual at that place.
    """

    bank: Tensor
    mean: Tensor
    scale: Tensor
    half_squares: Tensor
    usual: Tensor

    def __init__(self, patches: PatchNetwork, bank: Bank, sharpness: float = SHARPNESS) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.patches = patches
        device = patches.network.mean.device
        self.register_buffer("usual", torch.from_numpy(bank.usual.copy()).to(device))
        self.deviation = float(bank.spread[0])
        kept = torch.from_numpy(bank.patches.copy()).to(device)
        self.register_buffer("bank", kept.T.contiguous())
        self.register_buffer("half_squares", (kept**2).sum(dim=1) / 2)
        self.register_buffer("mean", torch.from_numpy(bank.mean.copy()).to(device))
        width = np.sqrt(np.float32(len(bank.mean)))
        self.register_buffer("scale", torch.from_numpy(1 / (bank.deviation * width)).to(device))

    def forward(self, pixels: Tensor) -> Tensor:
        pooled, raw, peaks = self.patches.look(pixels)
        patches = (raw - self.mean) * self.scale
        oddness = self._oddness(patches)
        weights = (self.sharpness * oddness).exp()
        total = weights.sum(dim=1, keepdim=True)
        odd = torch.bmm((weights / total)[:, None, :], patches)[:, 0]
        return torch.cat((pooled, peaks, odd, total.log(), oddness), dim=1)

    def _oddness(self, patches: Tensor) -> Tensor:
        """Return (b, m) distances of patches (b, m, c) to the bank, in usual deviations from what is usual there."""
        b, m, c = patches.shape
        nearest = torch.addmm(self.half_squares, patches.view(b * m, c), self.bank, alpha=-1).amin(dim=1).view(b, m)
        distances = (patches.square().sum(dim=2) + 2 * nearest).clamp_min(0).sqrt()
        return ((distances - self.usual) / self.deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
