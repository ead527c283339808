"""The settings of the stages after the labels: types and ranges; configs/default.yaml has values and reasons."""

from __future__ import annotations

from pydantic import Field

from activesel.config.sections import Section


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
