"""The settings of the stages after the labels: rounds, training, gate, serving, events, monitoring."""

from __future__ import annotations

from pydantic import Field

from activesel.config.sections import Section


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
