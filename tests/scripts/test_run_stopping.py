"""The measured page on stopping: errors and intervals of made-up answers whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import run_stopping as script

from activesel.training.signals import PART_SHARES, Signals
from activesel.training.worth import gain_half


def make_case(name: str, seed: int, miss: float = 0.0) -> script.Case:
    """After 60 labels; what comes is what is expected and ``miss`` on top."""
    labels = np.array(PART_SHARES) * 60
    signals = Signals(60, 3, labels, np.array([0.3, 0.4, 0.5]), labels, 0.8 - 12 / labels, np.array([0.4, 0.3]))
    case = script.Case(name, "random", seed, 3, (0.4, 0.5, 0.6, 0.0, 0.0, 0.0, 0.0), signals)
    after = [0.6 + script.expect(case, batches) + miss for batches in (1, 2, 3, 4)]
    return replace(case, curve=(0.4, 0.5, 0.6, *after))


def test_a_right_answer_has_no_error() -> None:
    cases = [make_case(name, seed) for name in ("a", "b") for seed in range(3)]
    errors = {name: script.fit_errors(cases) for name in ("a", "b")}
    ours = script.tabulate_gains(cases, 1, errors).splitlines()[2]
    assert "ours" in ours
    assert ours.count("0.000, 0.000") == 3
    assert "100% (100%, 100%)" in ours


def test_intervals_hold_four_in_five() -> None:
    cases = [make_case("a", seed, miss) for seed, miss in enumerate(np.random.default_rng(0).normal(0, 0.03, 60))]
    errors = script.fit_errors(cases)
    held = [abs(script.expect(case, n) - case.gain(n)) <= gain_half(script.expect(case, n), errors)
            for case in cases for n in script.HORIZONS]  # fmt: skip
    assert np.mean(held) == pytest.approx(0.8, abs=0.06)


def test_the_last_gain_is_repeated() -> None:
    assert script.repeat_last(make_case("a", 0), 4) == pytest.approx(0.4)


def test_what_was_left_at_a_stop_is_told() -> None:
    flat = make_case("a", 0)
    flat = replace(
        flat, signals=replace(flat.signals, believed=np.full(3, 0.6)), curve=(0.4, 0.5, 0.6, 0.62, 0, 0, 0.7)
    )
    row = script.tabulate_stops([flat, make_case("a", 1)]).splitlines()[2]
    assert row.startswith("| a, random | 1 of 2 | +0.020, +0.020 | +0.100, +0.100 | 1 |")
