"""The settings of the stages after the labels: rounds, training, gate, serving, events, monitoring."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from activesel.config.sections import Section


class RoundsConfig(Section):
    budget: int = Field(ge=1)
    trainer: str = Field(min_length=1)
    trainer_options: dict[str, Any]
    least_labelled: float = Field(gt=0, le=1)
    inconclusive: Literal["stop", "go on"]
    promotion: Literal["automatic", "approved"]
    synthesis: bool
    synthesis_count: int = Field(ge=1)
    label_hours: float = Field(gt=0)
    fresh_days: float = Field(gt=0)
