"""Settings, checked: `load_config`, and the section that each stage is handed."""

from activesel.config.loading import Config, default_path, load_config
from activesel.config.sections import EmbeddingConfig, IngestConfig, RoutingConfig

__all__ = ["Config", "EmbeddingConfig", "IngestConfig", "RoutingConfig", "default_path", "load_config"]
