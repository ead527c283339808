"""Cells of bench_synth.py whose k images were too few for a proof of their own."""

from __future__ import annotations

from typing import Any

from activesel.promotion import judge_by_siblings
from activesel.seeds import derive_rng
from bench.synth_arms import COPIES, FILTERED, PROVED, REAL


def settle_by_siblings(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let the other classes' cells of the same k speak where k images were too few, as `activesel synth prove` lets
    siblings speak; these were measured on the test half, not on the training side cut once more."""
    return [_settle(cell, [one for one in cells if (one["name"], one["k"]) == (cell["name"], cell["k"])
                           and one["label"] != cell["label"]]) for cell in cells]  # fmt: skip


def _settle(cell: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    if cell["proof"] != "too few":
        return cell
    gains: dict[str, dict[str, list[float]]] = {}
    for rival in (REAL, COPIES):
        by_label: dict[str, list[float]] = {}
        for one in others:
            by_label.setdefault(one["label"], []).append(one["arms"][FILTERED]["ap"] - one["arms"][rival]["ap"])
        n_draws = min(map(len, by_label.values()), default=0)
        gains[rival] = {label: values[:n_draws] for label, values in by_label.items()}
    worth = judge_by_siblings(gains, cell["k"], derive_rng(0, "bench-siblings", cell["label"]))
    arms = {**cell["arms"], PROVED: cell["arms"][FILTERED if worth.is_promoted else REAL]}
    return {**cell, "arms": arms, "proof": worth.outcome}
