"""Thresholds that a sample proves, by hand and against how often they prove too much."""

from __future__ import annotations

import numpy as np

from activesel.calibration import Standard, expected_calibration_error, prove_threshold

STANDARD = Standard(0.9, 0.1, 0.95)


def binary(score: np.ndarray) -> np.ndarray:
    """(n, 2): class 1 with that probability."""
    return np.stack([1 - score, score], axis=1)


def test_calibration_error() -> None:
    sure = np.full(100, 0.9)
    assert round(expected_calibration_error(sure, np.arange(100) < 90), 9) == 0
    assert round(expected_calibration_error(sure, np.arange(100) < 50), 9) == 0.4


def test_all_right_is_proved_down_to_the_lowest() -> None:
    score = np.concatenate([np.linspace(0.6, 0.99, 200), np.full(100, 0.1)])
    classes = np.repeat([1, 0], [200, 100])
    found = prove_threshold(binary(score), classes, np.arange(300), 1, STANDARD)
    assert found.value == 0.6
    assert found.tested == 200
    assert found.precision > 0.9


def test_it_stops_where_mistakes_begin() -> None:
    score = np.concatenate([np.linspace(0.8, 0.99, 200), np.linspace(0.6, 0.79, 100)])
    classes = np.repeat([1, 0], [200, 100])
    found = prove_threshold(binary(score), classes, np.arange(300), 1, STANDARD)
    assert found.value is not None
    assert 0.75 < found.value < 0.85


def test_too_few_groups_prove_nothing() -> None:
    score = np.full(500, 0.99)
    found = prove_threshold(binary(score), np.ones(500, int), np.arange(500) // 25, 1, STANDARD)
    assert found.value is None
    assert found.why == "20 groups are predicted so, 46 are needed"


def test_calling_everything_good_is_not_accepted() -> None:
    """1 % defects, all of them taken for good: precision 0.99, and every defect would pass."""
    classes = np.where(np.arange(2000) % 100 == 0, 0, 1)
    found = prove_threshold(binary(np.full(2000, 0.99)), classes, np.arange(2000), 1, Standard(0.9, 0.05, 0.95))
    assert found.value is None
    assert "other classes would pass" in found.why


def test_a_group_is_wrong_where_one_of_its_images_is() -> None:
    classes = np.ones(300, int)
    classes[::3] = 0  # one of the three of each group
    found = prove_threshold(binary(np.full(300, 0.9)), classes, np.arange(300) // 3, 1, STANDARD)
    assert found.value is None


def test_it_seldom_proves_too_much(rng: np.random.Generator) -> None:
    """A model that is right a little less often than wanted, whatever its score, passes in one of twenty at most."""
    passed = 0
    for _ in range(200):
        score = rng.uniform(0.6, 1, 400)
        classes = np.append((rng.random(400) < 0.895).astype(int), np.zeros(4000, int))
        probs = binary(np.append(score, np.full(4000, 0.1)))
        passed += prove_threshold(probs, classes, np.arange(4400), 1, STANDARD).value is not None
    assert passed <= 20
