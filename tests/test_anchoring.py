"""Shown against hidden, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.anchoring import measure_anchoring


def test_newcombes_own_example() -> None:
    """56/70 against 48/80: difference 0.2, interval 0.0524 .. 0.3339 (Newcombe 1998, table II, method 10)."""
    same = np.concatenate([np.arange(70) < 56, np.arange(80) < 48])
    found = measure_anchoring(same, np.repeat([True, False], [70, 80]), np.full(150, np.nan))
    assert found.difference is not None
    assert found.difference.value == pytest.approx(0.2)
    assert found.difference.low == pytest.approx(0.0524, abs=1e-4)
    assert found.difference.high == pytest.approx(0.3339, abs=1e-4)
    assert found.p == pytest.approx(0.0080, abs=5e-4)
    assert found.time_ratio is None


def test_time_and_empty_arms() -> None:
    found = measure_anchoring(np.ones(4, bool), np.array([True, True, False, False]), np.array([2.0, 4, 6, np.nan]))
    assert (found.shown.median_s, found.hidden.median_s, found.time_ratio) == (3, 6, 0.5)
    assert found.p == 1
    alone = measure_anchoring(np.ones(2, bool), np.ones(2, bool), np.full(2, np.nan))
    assert alone.difference is None
    assert measure_anchoring(np.empty(0, bool), np.empty(0, bool), np.empty(0)).p is None
