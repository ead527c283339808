"""Settings, checked: `load_config`, and the section that each stage is handed."""

from activesel.config.flywheel import ServingConfig
from activesel.config.loading import Config, default_path, load_config
from activesel.config.sections import EmbeddingConfig, IngestConfig, RoutingConfig

__all__ = ["Config", "EmbeddingConfig", "IngestConfig", "RoutingConfig", "ServingConfig", "default_path", "load_config"]
