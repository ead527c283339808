"""The embedding network and a linear head as one torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from activesel.embedding import Backbone
from activesel.embedding.readout import SHARES, ReadOut
from activesel.training.head import LinearHead


class HeadNetwork(nn.Module):
    """(b, 3, s, s) float32, values 0..255 -> (b, c) float32 probabilities; what activesel.embedding.readout and
    LinearHead do to arrays, for images that are not cut into tiles."""

    weight: Tensor
    bias: Tensor

    def __init__(self, backbone: Backbone, head: LinearHead) -> None:
        super().__init__()
        self.features = backbone.module
        self._read_out = backbone.read_out
        for name, values in (("weight", head.weight), ("bias", head.bias)):
            scaled = torch.from_numpy(values.copy()).to(backbone.device) / head.temperature
            self.register_buffer(name, scaled)

    def forward(self, pixels: Tensor) -> Tensor:
        vectors = self._join(self.features(pixels.clone()))  # the network normalises in place
        return functional.linear(functional.normalize(vectors, dim=1), self.weight, self.bias).softmax(dim=1)

    def _join(self, slots: Tensor) -> Tensor:
        """Return the vectors (b, d) of what the network says of whole images."""
        if not isinstance(self._read_out, ReadOut):
            return slots
        dims = [self._read_out.dim, self._read_out.depth, self._read_out.channels]
        blocks = torch.split(slots[:, : sum(dims)], dims, dim=1)
        parts = [functional.normalize(block, dim=1, eps=1e-9) * share**0.5
                 for block, share in zip(blocks, SHARES, strict=True)]  # fmt: skip
        return torch.cat(parts, dim=1)
