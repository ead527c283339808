"""The settings of each stage up to the labels: types and ranges; configs/default.yaml has values and reasons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from activesel.errors import hide_passwords


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogConfig(Section):
    url: str | None = Field(min_length=1, repr=False)
    namespace: str | None = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")

    @field_serializer("url")
    def _hide_password(self, url: str | None) -> str | None:
        return url and hide_passwords(url)


class IngestConfig(Section):
    max_megapixels: float = Field(gt=0)
    max_file_mb: float = Field(gt=0)
    workers: int = Field(ge=0, le=1024)
    path_pattern: str | None
    labels_from_folders: bool


class EmbeddingConfig(Section):
    backbone: str = Field(min_length=1)
    checkpoint: str | None
    batch_size: int = Field(ge=0, le=65536)
    precision: Literal["auto", "float32", "bfloat16"]
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    decode_threads: int = Field(ge=0, le=1024)
    decode_processes: Literal["auto"] | Annotated[int, Field(ge=0, le=1024)]
    shard_rows: int = Field(ge=1, le=1_000_000)
    pooling: Literal["plain", "defect-aware"]
    good: str | None
    tiles: int = Field(ge=0, le=256)


class DuplicatesConfig(Section):
    similarity: float = Field(gt=0, le=1)
    group_cap: int = Field(ge=0)


class SelectionConfig(Section):
    strategy: str
    options: dict[str, Any]
    neighbours: int = Field(ge=1, le=1024)
    components: int = Field(ge=0)
    explore: float = Field(ge=0, le=1)
    evaluation: float = Field(ge=0, le=1)
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    memory_limit: str | None
    partitions: int = Field(ge=1, le=4096)


class ScoresConfig(Section):
    neighbours: int = Field(ge=1, le=1024)
    reduction: Literal["max", "mean_top_k", "sum"]
    reduction_top_k: int = Field(ge=1)


class StoppingConfig(Section):
    least_gain: float = Field(gt=0, le=1)


class SynthConfig(Section):
    give_up_error: float = Field(ge=0, lt=1)


class WeakConfig(Section):
    least_confidence: float = Field(gt=0, le=1)
    rule_accuracy: float = Field(gt=0.5, lt=1)


class RoutingConfig(Section):
    critical: list[str]
    critical_from: float = Field(gt=0, le=1)
    expert_from: float = Field(ge=0, le=1)
    crowd_opinions: int = Field(ge=1, le=100)
    crowd_cost: float = Field(ge=0)
    expert_cost: float = Field(ge=0)
    crowd_minutes: float = Field(ge=0)
    expert_minutes: float = Field(ge=0)
    most_money: float | None = Field(ge=0)
    most_minutes: float | None = Field(ge=0)
    most_expert_minutes: float | None = Field(ge=0)


class QualityConfig(Section):
    overlap: float = Field(ge=0, le=1)
    half_width: float = Field(gt=0, le=1)
    gold: float = Field(ge=0, le=1)
    blind_arm: float = Field(ge=0, le=1)
    least_kappa: float = Field(ge=0, le=1)
    least_low: float = Field(ge=0, le=1)
    least_positive: float = Field(ge=0, le=1)
    least_defects: int = Field(ge=0)
    least_gold: float = Field(ge=0, le=1)
    pool_rounds: int = Field(ge=0, le=50)
    iou: float = Field(gt=0, le=1)
    posterior: float = Field(ge=0, le=1)
    model: float = Field(gt=0, le=1)
    audit: float = Field(ge=0, le=1)
    model_weight: float = Field(ge=0, le=1)
    label_error: float | None = Field(ge=0, lt=0.5)
    most_opinions: int = Field(ge=1, le=9)


class PrelabelConfig(Section):
    accept_precision: float = Field(gt=0.5, lt=1)
    accept_escapes: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)


class DatasetConfig(Section):
    validation: float = Field(ge=0, lt=0.5)
    test: float = Field(ge=0, lt=0.5)
    group_column: str | None
    licence: str | None
    third_party: list[str]


class ReportConfig(Section):
    thumbnail_px: int = Field(ge=16, le=1024)
    map_points: int = Field(ge=10, le=100_000)


class ReviewConfig(Section):
    classes: list[str]
    guideline: str = Field(max_length=64)
    image_px: int = Field(ge=256, le=16384)
