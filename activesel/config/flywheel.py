"""The settings of the stages after the labels: rounds, training, gate, serving, events, monitoring."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from activesel.config.sections import Section


class RoundsConfig(Section):
    budget: int = Field(ge=1)
    least_labelled: float = Field(gt=0, le=1)
    inconclusive: Literal["stop", "go on"]
    promotion: Literal["automatic", "approved", "unless rejected"]
    synthesis: bool
    synthesis_count: int = Field(ge=1)
    label_hours: float = Field(gt=0)
    fresh_days: float = Field(gt=0)


class TrainingConfig(Section):
    trainer: str = Field(min_length=1)
    options: dict[str, Any]
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    timeout_s: float = Field(ge=0)


class MonitoringConfig(Section):
    false_alarms: float = Field(gt=0, lt=0.5)
    confidence: float = Field(gt=0.5, lt=1)
    least_labels: int = Field(ge=2)
    least_explore: float = Field(ge=0, lt=1)
    most_by_model: float = Field(ge=0, le=1)
    recall_drop: float = Field(ge=0, le=1)
    surprise: float = Field(ge=1)
    most_unseen: float = Field(gt=0, lt=1)
    anchoring: float = Field(ge=0, le=1)
    override_ratio: float = Field(ge=1)
    drift: float = Field(ge=0)
    domain_auc: float = Field(ge=0.5, le=1)
    stale_days: float = Field(gt=0)
    good: str | None
    batches: int = Field(ge=1)
    images: int = Field(ge=0, le=100_000)


class GateConfig(Section):
    false_rejects: float = Field(gt=0, lt=0.5)
    most_false_rejects: float = Field(gt=0, lt=1)
    margin: float = Field(gt=0, lt=1)
    class_margin: float = Field(gt=0, lt=1)
    error: float = Field(gt=0, le=0.2)
    must_gain: bool
    critical: list[str] | None
    least_defects: int = Field(ge=1)
    least_class: int = Field(ge=1)
    least_recall: float = Field(ge=0, le=1)
    resamples: int = Field(ge=100, le=100_000)


class EventsConfig(Section):
    max_body_kb: int = Field(ge=1, le=65536)
    max_waiting_mb: int = Field(ge=1, le=65536)
    max_backlog_mb: int = Field(ge=1, le=1_000_000)
    keep_dead: int = Field(ge=0)


class FeedbackConfig(Section):
    considered_s: float = Field(ge=0, le=86400)
    names: dict[str, str]
    weak: list[str]
    adjudicate: list[str]
    positives: list[str]
    least_accuracy: float = Field(gt=0, le=1)
    least_known: int = Field(ge=1)
    least_confidence: float = Field(gt=0, le=1)


class ServingConfig(Section):
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    max_batch: int = Field(ge=1, le=4096)
    max_wait_ms: float = Field(ge=0, le=10_000)
    queue: int = Field(ge=1, le=1_000_000)
    decode_threads: int = Field(ge=0, le=1024)
    max_body_mb: float = Field(gt=0, le=4096)
    max_megapixels: float = Field(gt=0)
    read_timeout_s: float = Field(gt=0, le=3600)
    refresh_s: float = Field(gt=0, le=3600)
    log_mb: float = Field(gt=0)
    sync_s: float = Field(gt=0, le=60)
    salt: str = Field(max_length=64)
    ab_error: float = Field(gt=0, lt=0.5)
    ab_margin: float = Field(ge=0, lt=1)
    ab_most_lots: int = Field(ge=2)
