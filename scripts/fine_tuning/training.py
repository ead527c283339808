"""Train a pretrained network with a new classifier on views of a few labelled images; probabilities out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from activesel.embedding import FAMILIES  # noqa: F401 - registers the backbones
from activesel.embedding.registry import Preprocess, find_recipe
from activesel.records import FloatArray
from activesel.seeds import derive_seed

BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True)
class Recipe:
    """How to train. side_px: of the square that the whole image is stretched to. frozen: stages that stay as they are,
    with the stem, of the network's seven; 0 = everything learns. probe_steps: of the new classifier alone.
    learning_rate: of all that learns, at its height. warmup: share of the steps over which it rises, before a cosine
    falls.
    """

    side_px: int = 128
    frozen: int = 5
    steps: int = 100
    batch: int = 16
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    probe_steps: int = 300
    probe_rate: float = 3e-3
    probe_decay: float = 0.05


class Classifier(nn.Module):
    """What learns: views (b, ...) -> (b, c) logits. The classifier starts at zero: no class is likelier than another.

    Batch norms keep their statistics, as those of a few images would be noise; everything that has a gradient learns.
    """

    def __init__(self, features: nn.Module, dim: int, n_classes: int) -> None:
        super().__init__()
        self.features = features.requires_grad_(True)
        self.head = nn.Linear(dim, n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.eval()

    def forward(self, views: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(views))
        return logits

    def embed(self, views: Tensor) -> Tensor:
        features: Tensor = self.features(views.float().contiguous(memory_format=torch.channels_last))
        return features


class Normalise(nn.Module):
    """Pixels 0..255 to what the backbone was trained on."""

    mean: Tensor
    scale: Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(preprocess.std).view(1, 3, 1, 1) * 255))

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) * self.scale


def cut_pretrained(frozen: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the default backbone with its packaged weights in two parts: what stays, and what learns."""
    net, preprocess = find_recipe(BACKBONE, None).build()
    start = [Normalise(preprocess), net.conv_stem, net.bn1]
    stays = [*start, *net.blocks[:frozen]] if frozen else []
    learns = [*([] if frozen else start), *net.blocks[frozen:], net.conv_head, net.bn2, net.global_pool]
    parts = nn.Sequential(*stays), nn.Sequential(*learns)
    return tuple(part.eval().to(memory_format=torch.channels_last) for part in parts)


def open_pretrained(n_classes: int, frozen: int) -> Classifier:
    """Return the part that learns, with an untrained classifier."""
    return Classifier(cut_pretrained(frozen)[1], 1280, n_classes)


def fine_tune(network: Classifier, views: Tensor, classes: Tensor, recipe: Recipe, seed: int) -> None:
    """Train in place on all of views (m, v, ...), v of each image, and classes (m,), both where the network is.

    First the classifier alone, then all that learns (Kumar et al. 2022, arXiv:2202.10054): the gradients of an
    untrained classifier would spoil the features. A step sees a batch of a shuffled pass over the images, of each a
    view drawn at random; the loss weighs classes alike. Calls with one seed and m see the same positions and views.
    """
    probe(network, views, classes, recipe)
    generator = torch.Generator().manual_seed(derive_seed(seed, "fine-tuning") % 2**31)
    loss = nn.CrossEntropyLoss(weight=weigh_classes(classes, network.head.out_features))
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: scale_rate(step, recipe))
    for rows in draw_batches(len(classes), recipe, generator).to(views.device):
        which = torch.randint(views.shape[1], (len(rows),), generator=generator).to(views.device)
        optimiser.zero_grad(set_to_none=True)
        loss(network(views[rows, which]), classes[rows]).backward()
        optimiser.step()
        schedule.step()


def probe(network: Classifier, views: Tensor, classes: Tensor, recipe: Recipe) -> None:
    """Train the classifier on what the untouched network makes of every view."""
    with torch.no_grad():
        features = torch.cat([network.embed(part) for part in views.flatten(0, 1).split(32)])
    classes = classes.repeat_interleave(views.shape[1])
    loss = nn.CrossEntropyLoss(weight=weigh_classes(classes, network.head.out_features))
    optimiser = torch.optim.AdamW(network.head.parameters(), lr=recipe.probe_rate, weight_decay=recipe.probe_decay)
    for _ in range(recipe.probe_steps):
        optimiser.zero_grad(set_to_none=True)
        loss(network.head(features), classes).backward()
        optimiser.step()


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


@torch.inference_mode()
def predict(network: Classifier, views: Tensor, batch: int = 64) -> FloatArray:
    """Return the probabilities (t, c) of one view each, (t, ...)."""
    where = network.head.weight.device
    parts = [network(part.to(where)).softmax(dim=1).cpu() for part in views.split(batch)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)
