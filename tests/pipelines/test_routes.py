"""Picks of a batch are routed by the settings."""

from __future__ import annotations

from activesel.config import load_config
from activesel.pipelines.batch_file import PickRecord
from activesel.pipelines.routes import plan_routes


def pick(rank: int, predicted: str, probability: float, **scores: float) -> PickRecord:
    return PickRecord(
        rank, f"{rank:032x}", "a.png", "strategy", "", predicted, probability, 0.0, None, scores, 1, None, {}
    )


def test_by_the_settings() -> None:
    picks = [pick(1, "crack", 0.9, uncertainty=0.1), pick(2, "good", 0.9, uncertainty=0.1),
             pick(3, "good", 0.5, uncertainty=0.9), pick(4, "good", 0.5)]  # fmt: skip
    settings = load_config(None, ["routing.critical=[crack]"]).routing
    assert plan_routes(picks, settings).routes == ("expert", "crowd", "expert", "expert")
    settings = load_config(None, ["routing.most_expert_minutes=0"]).routing
    assert plan_routes(picks, settings).routes == ("crowd",) * 4
