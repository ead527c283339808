"""The settings of the stages after the labels: types and ranges; configs/default.yaml has values and reasons."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from activesel.config.sections import Section


class TrainingConfig(Section):
    trainer: str = Field(min_length=1)
    options: dict[str, Any]
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")


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
