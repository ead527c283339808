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
