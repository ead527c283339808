"""Images to vectors: a backbone by name or checkpoint, a stream that keeps it busy, a store that survives a kill.

Adding a backbone family is one new file like timm_models.py and its line below.
"""

from __future__ import annotations

from activesel.embedding import efficientnet_lite0, timm_models, torchvision_models  # registers each family
from activesel.embedding.backbone import Backbone, backbone_key, open_backbone
from activesel.embedding.decoding import EmbeddedBatch
from activesel.embedding.registry import family_names
from activesel.embedding.store import VectorStore
from activesel.embedding.stream import embed_images

FAMILIES = (efficientnet_lite0, timm_models, torchvision_models)

__all__ = [
    "FAMILIES",
    "Backbone",
    "EmbeddedBatch",
    "VectorStore",
    "backbone_key",
    "embed_images",
    "family_names",
    "open_backbone",
]
