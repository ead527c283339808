"""The composition root of embedding: settings in, a network on its device ready for batches of uint8 pixels out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from activesel.config import EmbeddingConfig
from activesel.embedding.checkpoints import weights_digest
from activesel.embedding.registry import Preprocess, Recipe, find_recipe
from activesel.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

# Raised when the same file and weights would give other vectors, so that old and new ones never mix in a store.
PREPROCESS_VERSION = 1
# On a CPU small batches keep the activations in cache: measured in docs/embedding.md. A GPU wants many.
AUTO_BATCH = {"cpu": 8, "cuda": 128}


@dataclass(frozen=True)
class Backbone:
    """A network that is ready to embed.

    key: names backbone, weights and preprocessing; the same key means comparable vectors. dim: d.
    module: (b, 3, h, w) uint8 on ``device`` -> (b, d) float32 pooled features, normalisation included.
    """

    key: str
    dim: int
    preprocess: Preprocess
    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    batch_size: int


def backbone_key(config: EmbeddingConfig) -> str:
    """Return the folder name of this backbone's vectors; reads the weights' bytes, builds no network.

    Precision and device are not part of it: float32 and bfloat16 vectors of one image agree to cosine > 0.99.

    Raises:
        ConfigError: unknown backbone, or no weights for it.
    """
    return _key_of(config, _recipe_of(config))


def open_backbone(config: EmbeddingConfig) -> Backbone:
    """Build the network, put it on its device in its precision, and find its width by a dry run.

    Raises:
        ConfigError: unknown backbone, no weights, no such device, a network that gives no vectors.
        DataError: weights that are damaged or do not fit. UnreachableError: weights to fetch that cannot be.
    """
    from activesel.embedding.network import PixelNetwork, fuse_batchnorm, infer_dim

    recipe = _recipe_of(config)
    key = _key_of(config, recipe)
    device = _pick_device(config.device)
    dtype = _pick_dtype(config.precision, device)
    features, preprocess = recipe.build()
    fused = fuse_batchnorm(features, preprocess)
    module = PixelNetwork(fused, preprocess).eval().to_device(device, dtype)
    batch_size = config.batch_size or AUTO_BATCH[device.type]
    return Backbone(key, infer_dim(module, config.backbone), preprocess, module, device, dtype, batch_size)


def _recipe_of(config: EmbeddingConfig) -> Recipe:
    checkpoint = None if config.checkpoint is None else Path(config.checkpoint).expanduser().resolve()
    return find_recipe(config.backbone, checkpoint)


def _key_of(config: EmbeddingConfig, recipe: Recipe) -> str:
    weights = recipe.weights if isinstance(recipe.weights, str) else weights_digest(recipe.weights)
    identity = f"{config.backbone}\n{weights}\n{PREPROCESS_VERSION}"
    slug = re.sub(r"[^a-z0-9_]+", "-", config.backbone.lower()).strip("-")[:60]
    return f"{slug}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _pick_device(name: str) -> torch.device:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise ConfigError("no such device", where="embedding.device", found=name,
                              expected=f"one of the {torch.cuda.device_count()} CUDA devices seen here",
                              hint="set it to auto or cpu")  # fmt: skip
    return torch.device(name)


def _pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    import torch

    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_multiplies_bfloat16()
    return torch.bfloat16 if native else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Tell whether the processor has bfloat16 instructions; emulation is slower than float32."""
    import torch

    # Not public, but there since 2.5; an absent one means "do not know", and float32 is right everywhere.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, lambda: False)() for question in questions)
