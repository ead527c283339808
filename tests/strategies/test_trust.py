"""The doubt that strategies weigh by is the plain definition's, block by block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activesel.errors import DataError
from activesel.records import Pool
from activesel.strategies import trust
from activesel.strategies.trust import tempered_margin
from activesel.uncertainty import score_margin, temper


def pool_of(probs: np.ndarray) -> Pool:
    n = len(probs)
    return Pool(np.eye(n, 4, dtype=np.float32), np.empty(0, np.int64), np.ones(n, bool), probs=probs)


@pytest.mark.parametrize("n_classes", [1, 2, 7])
@pytest.mark.parametrize("temperature", [0.01, 1.0, 2.5])
def test_equals_the_margin_of_tempered_probabilities(
    n_classes: int, temperature: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trust.BLOCK_ROWS, "cpu", 16)
    probs = rng.dirichlet(np.full(n_classes, 0.3), 50)
    probs[:2] = np.eye(n_classes)[0]  # sure; and a tie below
    probs[2] = 1 / n_classes
    # At 0.01 float32 is raised to the power of 100.
    plain = score_margin(temper(probs, temperature))
    assert tempered_margin(pool_of(probs), temperature) == pytest.approx(plain, abs=1e-4)


def test_a_temperature_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="temperature must be above 0"):
        tempered_margin(pool_of(np.full((3, 2), 0.5)), 0.0)


def test_without_a_model_everything_is_as_doubtful() -> None:
    pool = replace(pool_of(np.full((3, 2), 0.5)), probs=None)
    assert tempered_margin(pool, 2.0).tolist() == [1.0, 1.0, 1.0]
