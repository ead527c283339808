"""Train a pretrained network with a new classifier on a few labelled images: uint8 pixels in, probabilities out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from activesel.embedding import FAMILIES  # noqa: F401 - registers the backbones
from activesel.embedding.registry import Preprocess, find_recipe
from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_seed

BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True)
class Recipe:
    """How to train. side_px: of the square that the whole image is stretched to. learning_rate: at its height; the new
    classifier's is head_factor times as high. warmup: share of the steps over which it rises, before a cosine falls.
    """

    side_px: int = 96
    steps: int = 48
    batch: int = 16
    learning_rate: float = 1e-3
    head_factor: float = 10.0
    weight_decay: float = 0.01
    warmup: float = 0.1


class Classifier(nn.Module):
    """(b, 3, h, w) uint8 -> (b, c) logits. The classifier starts at zero, so every class is as likely as any other.

    Batch norms keep their statistics, as those of a few images would be noise; everything that has a gradient learns.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: nn.Module, dim: int, n_classes: int, preprocess: Preprocess) -> None:
        super().__init__()
        self.features = features.requires_grad_(True)
        self.head = nn.Linear(dim, n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(preprocess.std).view(1, 3, 1, 1) * 255))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() - self.mean) * self.scale
        logits: Tensor = self.head(self.features(x.contiguous(memory_format=torch.channels_last)))
        return logits


def open_pretrained(n_classes: int) -> Classifier:
    """Return the project's default backbone with its packaged weights, and an untrained classifier."""
    features, preprocess = find_recipe(BACKBONE, None).build()
    return Classifier(features, 1280, n_classes, preprocess).to(memory_format=torch.channels_last)


def preprocess_of_backbone() -> Preprocess:
    return find_recipe(BACKBONE, None).build()[1]


def fine_tune(network: Classifier, pixels: Tensor, classes: Tensor, recipe: Recipe, seed: int) -> None:
    """Train in place on all of pixels (m, 3, h, w) uint8 and classes (m,), both where the network is.

    A step sees a batch of a shuffled pass over the images, each flipped or not along either axis; the loss weighs
    classes alike. Two calls with one seed and m see the same positions and flips.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "fine-tuning") % 2**31)
    loss = nn.CrossEntropyLoss(weight=weigh_classes(classes, network.head.out_features))
    optimiser = torch.optim.AdamW(
        [{"params": network.features.parameters(), "lr": recipe.learning_rate},
         {"params": network.head.parameters(), "lr": recipe.learning_rate * recipe.head_factor}],
        weight_decay=recipe.weight_decay,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: scale_rate(step, recipe))
    for rows in draw_batches(len(classes), recipe, generator):
        optimiser.zero_grad(set_to_none=True)
        shown = flip_some(pixels[rows.to(pixels.device)], generator)
        loss(network(shown), classes[rows.to(classes.device)]).backward()
        optimiser.step()
        schedule.step()


def weigh_classes(classes: Tensor, n_classes: int) -> Tensor:
    """Return (c,) weights under which every class present has the same sum; 0 for one that is absent."""
    counts = torch.bincount(classes, minlength=n_classes).float()
    return torch.where(counts > 0, len(classes) / (counts.clamp(min=1) * (counts > 0).sum()), 0.0)


def scale_rate(step: int, recipe: Recipe) -> float:
    """Return the share of the learning rate at a step: up on a line, then down on a cosine."""
    rise = max(1, round(recipe.warmup * recipe.steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, recipe.steps - rise)))


def draw_batches(m: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return (steps, batch) rows: every image once before any comes again."""
    n_passes = math.ceil(recipe.steps * recipe.batch / m)
    rows = torch.cat([torch.randperm(m, generator=generator) for _ in range(n_passes)])
    return rows[: recipe.steps * recipe.batch].view(recipe.steps, recipe.batch)


def flip_some(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images (b, 3, h, w), each mirrored along each axis or not, as the generator draws."""
    is_flipped = torch.rand(2, len(pixels), 1, 1, 1, generator=generator).to(pixels.device) < 0.5
    pixels = torch.where(is_flipped[0], pixels.flip(3), pixels)
    return torch.where(is_flipped[1], pixels.flip(2), pixels)


@torch.inference_mode()
def predict(network: Classifier, pixels: FloatArray | IntArray, device: torch.device, batch: int = 32) -> FloatArray:
    """Return the probabilities (t, c) of pixels (t, 3, h, w) uint8."""
    parts = [network(torch.from_numpy(pixels[at : at + batch]).to(device)).softmax(dim=1).cpu()
             for at in range(0, len(pixels), batch)]  # fmt: skip
    return np.asarray(torch.cat(parts).numpy(), np.float32)
