"""The composition root of embedding: settings in, a network on its device ready for batches of uint8 pixels out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from activesel.config import EmbeddingConfig
from activesel.embedding.banks import bank_digest, read_bank
from activesel.embedding.checkpoints import weights_digest
from activesel.embedding.readout import RawReadOut, ReadOut
from activesel.embedding.registry import Preprocess, Recipe, find_recipe
from activesel.errors import ConfigError, DataError
from activesel.tensors import cpu_multiplies_bfloat16

if TYPE_CHECKING:
    import torch
    from torch import nn

# Raised when the same file and weights would give other vectors, so that old and new ones never mix in a store.
PREPROCESS_VERSION = 1
# The same for defect-aware pooling: layers, weights, shares.
POOLING_VERSION = 1
# On a CPU small batches keep the activations in cache: measured in docs/embedding.md. A GPU wants many.
AUTO_BATCH = {"cpu": 8, "cuda": 128}


@dataclass(frozen=True)
class Backbone:
    """A network that is ready to embed.

    key: names backbone, weights and preprocessing; the same key means comparable vectors. dim: d.
    module: (b, 3, h, w) uint8 on ``device`` -> (b, d) float32 pooled features, normalisation included; with a
    ``read_out``, (b, read_out.width), which it turns into vectors. most_tiles: of a large image, 0 = only the whole.
    """

    key: str
    dim: int
    preprocess: Preprocess
    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    batch_size: int
    read_out: ReadOut | RawReadOut | None = None
    most_tiles: int = 0


def backbone_key(config: EmbeddingConfig, bank: Path | None = None) -> str:
    """Return the folder name of this backbone's vectors; reads the weights' bytes, builds no network.

    bank: the file of the bank of patches, which names defect-aware vectors by its content; it need not exist yet.

    Precision and device are not part of it: float32 and bfloat16 vectors of one image agree to cosine > 0.99.

    Raises:
        ConfigError: unknown backbone, or no weights for it.
    """
    plain = _key_of(config, _recipe_of(config))
    if config.pooling == "plain" or bank is None:
        return plain
    identity = f"{plain}\n{POOLING_VERSION}\n{config.tiles}\n{bank_digest(bank)}"
    return f"{plain}-defect-aware-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def open_backbone(config: EmbeddingConfig, bank: Path | None = None) -> Backbone:
    """Build the network, put it on its device in its precision, and find its width by a dry run.

    bank: the file of the bank of patches, which defect-aware pooling asks for.

    Raises:
        ConfigError: unknown backbone, no weights, no such device, a network that gives no vectors.
        DataError: weights that are damaged or do not fit. UnreachableError: weights to fetch that cannot be.
    """
    plain = _open_plain(config)
    if config.pooling == "plain":
        return plain
    if bank is None:
        raise ConfigError("defect-aware pooling needs a bank of patches", where="embedding.pooling",
                          hint="embed in a workspace, which makes one, or set embedding.pooling=plain")  # fmt: skip
    from activesel.embedding.patches import DefectAware, open_patch_network

    patches, kept = open_patch_network(plain.module, config.backbone), read_bank(bank)
    sites = patches.sites
    if (kept.patches.shape[1], len(kept.usual)) != (sites.channels, sites.rows * sites.columns):
        raise DataError("the bank of patches is another network's", where=str(bank),
                        found=f"{len(kept.usual)} places of {kept.patches.shape[1]} channels",
                        expected=f"{sites.rows * sites.columns} of {sites.channels}",
                        hint="delete it and run `activesel embed`")  # fmt: skip
    read_out = ReadOut(plain.dim, sites.depth, sites.channels, sites.rows, sites.columns)
    module = DefectAware(patches, kept).eval()
    return replace(plain, key=backbone_key(config, bank), dim=read_out.vector_dim, module=module,
                   read_out=read_out, most_tiles=config.tiles)  # fmt: skip


def open_patches(config: EmbeddingConfig) -> Backbone:
    """Return a network whose "vectors" are raw patches, (b, m * c) row by row: what a bank is made from.

    Raises:
        ConfigError, DataError, UnreachableError: as open_backbone; a network without maps.
    """
    from activesel.embedding.patches import RawPatches, open_patch_network

    plain = _open_plain(config)
    patches = open_patch_network(plain.module, config.backbone)
    read_out = RawReadOut(patches.sites.rows * patches.sites.columns, patches.sites.channels)
    module = RawPatches(patches).eval()
    return replace(plain, dim=read_out.width, module=module, read_out=read_out, most_tiles=config.tiles)


def _open_plain(config: EmbeddingConfig) -> Backbone:
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
