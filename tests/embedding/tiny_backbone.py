"""A backbone of one convolution, for tests that need vectors fast and the same in every process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from activesel.embedding.checkpoints import load_by_name
from activesel.embedding.registry import Preprocess, Recipe, Request, backbone_family

if TYPE_CHECKING:
    from torch import nn

DIM = 16
PREPROCESS = Preprocess(32, 32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear")


@backbone_family("tiny")
def tiny(request: Request) -> Recipe:
    if request.checkpoint is not None:
        return Recipe(request.checkpoint, functools.partial(build_saved, request.checkpoint))
    return Recipe("seed-0", build_tiny)


def build_saved(checkpoint: Path) -> tuple[nn.Module, Preprocess]:
    layers, preprocess = build_tiny()
    load_by_name(layers, checkpoint, head=("head.",))
    return layers, preprocess


def build_tiny() -> tuple[nn.Module, Preprocess]:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, DIM, 5, stride=2), nn.BatchNorm2d(DIM), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        layers[1].running_mean.uniform_(-1, 1)
        layers[1].running_var.uniform_(0.5, 2)
    return layers.eval(), PREPROCESS
