"""Flips are as many as asked for, and scores can be checked by hand."""

from __future__ import annotations

import numpy as np
from run_label_errors import Score, describe, draw, measure, score


def test_draw_flips_images_or_whole_groups() -> None:
    classes, groups = np.arange(200) % 3, np.arange(200) // 2
    flipped = draw(classes, groups, 0.1, "images", 0) != classes
    assert flipped.sum() == 20
    pairs = (draw(classes, groups, 0.1, "groups", 0) != classes).reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert pairs[:, 0].sum() == 10


def test_score_by_hand() -> None:
    assert score(np.array([1, 2, 3, 4]), np.array([1, 4, 9])) == Score(0.5, 2 / 3, 1 / 3, 4)
    row = describe("5% of images | ours", [Score(0.5, 1, 0.25, 4), Score(0.7, 1, 0.75, 6)])
    assert row == ("| 5% of images | ours | 0.60 (0.50 .. 0.70) | 1.00 (1.00 .. 1.00) | 0.50 (0.25 .. 0.75) | 5 |")


def test_flips_are_found(rng: np.random.Generator) -> None:
    classes = np.arange(90) % 3
    vectors = (np.eye(8)[classes] + 0.1 * rng.normal(size=(90, 8))).astype(np.float32)
    given = draw(classes, np.arange(90), 0.05, "images", 0)
    found = measure(vectors, classes, np.arange(90), given)
    assert found["ours"].recall == found["ours"].at_n == 1
