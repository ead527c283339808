"""Train one small network many times on a GPU: the step is recorded once, a fit copies weights back and replays it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fine_tuning.training import Classifier, cut_pretrained

WARM_UPS = 3  # steps outside the recording, as torch.cuda.graph asks for


@dataclass(frozen=True)
class Plan:
    """One fit. rows: (m,) of the pixels to train on, with classes (m,); shares: (m,) how often each is drawn, sum 1."""

    rows: np.ndarray
    classes: np.ndarray
    shares: np.ndarray
    seed: int


class Trainer:
    """pixels: (n, 1, h, w) uint8 on the device, rows of which plans name. All of the network learns."""

    def __init__(
        self, pixels: Tensor, n_classes: int, *, steps: int, batch: int, rate: float, head_rate: float
    ) -> None:
        self.pixels, self.steps, self.rate, self.head_rate = pixels, steps, rate, head_rate
        where = pixels.device
        self.network = Classifier(cut_pretrained(0)[1], 1280, n_classes).to(where, memory_format=torch.channels_last)
        self.x = torch.zeros((batch, 3, *pixels.shape[2:]), device=where)
        self.y = torch.zeros(batch, dtype=torch.int64, device=where)
        self.rates = [torch.tensor(0.0, device=where) for _ in range(2)]
        parts = (self.network.features, self.network.head)
        groups = [{"params": list(part.parameters()), "lr": now} for part, now in zip(parts, self.rates, strict=True)]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=0.01, capturable=where.type == "cuda")
        self.start = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.graph = self._record() if where.type == "cuda" else None

    def fit(self, plan: Plan) -> None:
        """Forget the last fit and train anew; equal plans give equal draws."""
        self._forget()
        generator = torch.Generator().manual_seed(plan.seed)
        drawn = torch.multinomial(torch.from_numpy(plan.shares), self.steps * len(self.y), replacement=True,
                                  generator=generator)  # fmt: skip
        where = self.pixels.device
        rows, classes = (torch.from_numpy(values)[drawn].to(where) for values in (plan.rows, plan.classes))
        changes = torch.rand((self.steps, len(self.y), 4), generator=generator).to(where)
        for step, change in enumerate(changes):
            some, names = (values.view(self.steps, -1)[step] for values in (rows, classes))
            self.x.copy_(vary(self.pixels[some].float(), change).expand(-1, 3, -1, -1))
            self.y.copy_(names)
            for now, height in zip(self.rates, (self.rate, self.head_rate), strict=True):
                now.fill_(height * scale(step, self.steps))
            if self.graph is None:
                self._step()
            else:
                self.graph.replay()

    @torch.no_grad()
    def predict(self, rows: np.ndarray, at_once: int = 256) -> np.ndarray:
        """Return (t, c) probabilities, the mean of each image and its mirror image."""
        parts = torch.from_numpy(rows).to(self.pixels.device).split(at_once)
        found = []
        for part in parts:
            x = self.pixels[part].float().expand(-1, 3, -1, -1)
            found.append((self.network(x).softmax(1) + self.network(x.flip(3)).softmax(1)) / 2)
        return torch.cat(found).double().cpu().numpy()

    def _step(self) -> None:
        self.optimiser.zero_grad(set_to_none=False)
        with torch.autocast(self.x.device.type, torch.bfloat16):
            logits = self.network.head(
                self.network.features(self.x.contiguous(memory_format=torch.channels_last)).float()
            )
        nn.functional.cross_entropy(logits.float(), self.y).backward()
        self.optimiser.step()

    def _record(self) -> torch.cuda.CUDAGraph:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self._step()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph

    @torch.no_grad()
    def _forget(self) -> None:
        for name, value in self.network.state_dict().items():
            value.copy_(self.start[name])
        for state in self.optimiser.state.values():
            for value in state.values():
                value.zero_()


def vary(pixels: Tensor, change: Tensor) -> Tensor:
    """Mirror, turn over, and change contrast and brightness by a tenth; change: (b, 4) of U(0, 1)."""
    across, down, contrast, light = (change[:, i].view(-1, 1, 1, 1) for i in range(4))
    pixels = torch.where(across < 0.5, pixels, pixels.flip(3))
    pixels = torch.where(down < 0.5, pixels, pixels.flip(2))
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return (mean + (pixels - mean) * (0.9 + 0.2 * contrast) + 25.5 * (2 * light - 1)).clamp(0, 255)


def scale(step: int, steps: int) -> float:
    """Return the share of the learning rate: up on a line over a tenth of the steps, down on a cosine."""
    rise = max(1, steps // 10)
    return (step + 1) / rise if step < rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def balance(classes: Sequence[int] | np.ndarray, made: np.ndarray, share: float) -> np.ndarray:
    """Return (m,) chances of being drawn: classes alike; of a class with made images these have ``share`` of it."""
    classes = np.asarray(classes)
    chances = np.zeros(len(classes))
    for number in np.unique(classes):
        own, real = classes == number, (classes == number) & ~made
        made_share = share if (own & made).any() else 0.0
        chances[real] = (1 - made_share) / real.sum()
        if made_share:
            chances[own & made] = made_share / (own & made).sum()
    return chances / chances.sum()
