"""Reasons read like sentences and say only what is known."""

from __future__ import annotations

import numpy as np

from activesel.reasons import Evidence, explain


def test_cold_start_says_nothing_about_classes_or_labels() -> None:
    evidence = Evidence(
        ("strategy", "strategy"), None, None, np.array([3, 1]), np.full(2, np.nan), None, np.array([np.inf, 0.5])
    )
    assert explain("covers", evidence) == (
        "covers; stands for 2 unlabelled images",
        "covers; 0.50 from the nearest pick before it",
    )


def test_random_shares_say_their_chance() -> None:
    evidence = Evidence(
        ("explore", "evaluation"),
        None,
        None,
        np.array([1, 1]),
        np.array([0.1, 0.05]),
        np.array([0.1, 0.2]),
        np.zeros(2),
    )
    first, second = explain("covers", evidence)
    assert first == "random draw against blind spots, chance 1 in 10"
    assert "evaluation" in second
    assert "chance 1 in 20" in second


def test_sure_and_unsure() -> None:
    probs = np.array([[0.9, 0.1], [0.55, 0.45]])
    evidence = Evidence(("strategy",) * 2, probs, ("good", "crack"), np.array([1, 2]), np.full(2, np.nan),
                        np.array([0.25, 0.5]), np.zeros(2))  # fmt: skip
    assert explain("far", evidence) == (
        "far; looks like good (90%); nearest label 0.25 away",
        "far; between good and crack, margin 0.10; stands for 1 unlabelled image; nearest label 0.50 away",
    )
