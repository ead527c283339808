"""The settings of the stages after the labels: types and ranges; configs/default.yaml has values and reasons."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from activesel.config.sections import Section


class TrainingConfig(Section):
    trainer: str = Field(min_length=1)
    options: dict[str, Any]
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    timeout_s: float = Field(ge=0)
