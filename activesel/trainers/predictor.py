"""A torch network that answers: pixels prepared as in training, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from activesel.embedding.decoding import resize
from activesel.embedding.registry import Preprocess


class NetworkPredictor:
    """A predictor (activesel.models) around ``network``: (b, 3, s, s) float32, values 0..255 -> (b, c) probabilities.

    preprocess: the size that pictures are stretched to; the network normalises by itself.
    """

    def __init__(self, network: nn.Module, classes: Sequence[str], preprocess: Preprocess, device: str) -> None:
        self.network = network.eval()
        self.classes: Sequence[str] = tuple(classes)
        self.preprocess = preprocess
        self.device = device

    @property
    def least_px(self) -> int:
        """The short side that a picture should have at least; a JPEG may be decoded smaller down to it."""
        return max(self.preprocess.height_px, self.preprocess.width_px)

    def prepare(self, picture: npt.NDArray[np.uint8]) -> Tensor:
        """Return (3, h, w) float32, values 0..255, of a picture (h, w, 3) RGB, or grey (h, w, 1)."""
        resized = resize(np.array(picture, np.uint8, order="C"), self.preprocess)
        return resized.float().expand(3, -1, -1).contiguous()

    def probabilities(self, batch: Tensor) -> npt.NDArray[np.float32]:
        """Return (b, c), rows sum to 1."""
        with torch.inference_mode():
            answers: npt.NDArray[np.float32] = self.network(batch.to(self.device)).float().cpu().numpy()
        return answers
