"""The settings of the stages after the labels: types and ranges; configs/default.yaml has values and reasons."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from activesel.config.sections import Section


class TrainingConfig(Section):
    trainer: str = Field(min_length=1)
    options: dict[str, Any]
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")


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
