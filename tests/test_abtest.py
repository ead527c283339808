"""Two models on lots: rates by hand, pairs of lots, stop rules, and how often they are wrong at any look."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.abtest import METRICS, Compared, Estimate, Outcomes, Rules, Stop, compare, decide, pair_lots, rule
from activesel.lots import Arm, Split
from activesel.sequential import bound_mean

RULES = Rules(error=0.05, margin=0.05, most_lots=400)
NOTHING = Estimate(0, 0, 0)


def simulate(
    rng: np.random.Generator, n_lots: int,
    recalls: tuple[float, float], rejects: tuple[float, float], share: float = 0.5,
) -> Outcomes:  # fmt: skip
    """Lots of 30 parts, a fifth defective, whose difficulty differs by lot; (champion, challenger)."""
    challenger = rng.random(n_lots) < share
    lot = np.repeat(np.arange(n_lots), 30)
    defective = rng.random(len(lot)) < 0.2
    hard = rng.normal(0, 0.05, n_lots)[lot]
    theirs = challenger[lot]
    chance = np.where(defective, np.where(theirs, recalls[1], recalls[0]) - hard,
                      np.where(theirs, rejects[1], rejects[0]) + hard / 5)  # fmt: skip
    return Outcomes(lot, challenger, defective, rng.random(len(lot)) < chance)


def test_rates_by_hand() -> None:
    lot = np.array([0, 0, 0, 1, 1, 1])
    defective = np.array([True, True, False, True, False, False])
    rejected = np.array([True, False, False, True, True, False])
    outcomes = Outcomes(lot, np.array([False, True]), defective, rejected)
    rng = np.random.default_rng(0)
    missed, false = (compare(outcomes, metric, error=0.05, rng=rng) for metric in METRICS)
    assert (missed.champion.value, missed.challenger.value, missed.difference.value) == (0.5, 0.0, -0.5)
    assert (false.champion.value, false.challenger.value, false.difference.value) == (0.0, 0.5, 0.5)
    assert missed.n_pairs == 1


def test_lots_are_paired_in_their_order() -> None:
    shares = np.array([0.1, 0.3, np.nan, 0.8, 0.5, 0.0, 1.0])
    theirs = np.array([False, False, True, True, True, False, True])
    assert pair_lots(shares, theirs) == pytest.approx([0.8 - 0.2, 0.5 - 0.0])


def test_a_bootstrap_by_lots_is_wider_than_by_parts() -> None:
    """All parts of a lot are alike: 40 lots are 40 observations, whatever is in them."""
    rng = np.random.default_rng(0)
    wrong = rng.random(40) < 0.3
    lot = np.repeat(np.arange(40), 50)
    outcomes = Outcomes(lot, np.arange(40) % 2 == 1, np.ones(2000, bool), ~wrong[lot])
    one = compare(outcomes, "missed", error=0.05, rng=rng).champion
    assert one.high - one.low > 0.3


def say(metric, low: float, high: float) -> Compared:  # type: ignore[no-untyped-def]
    return Compared(metric, NOTHING, NOTHING, NOTHING, 50, (low, high))


@pytest.mark.parametrize(
    ("missed", "false", "n_lots", "stop"),
    [
        ((0.01, 0.2), (-0.5, -0.1), 50, Stop.harm),
        ((-0.2, -0.01), (0.01, 0.2), 50, Stop.harm),
        ((-0.2, -0.01), (-0.1, 0.04), 50, Stop.gain),
        ((-0.2, 0.05), (-0.3, -0.1), 50, Stop.gain),
        ((-0.2, -0.01), (-0.1, 0.06), 50, Stop.go_on),
        ((-0.2, 0.1), (-0.1, 0.1), 399, Stop.go_on),
        ((-0.2, 0.1), (-0.1, 0.1), 400, Stop.limit),
    ],
)
def test_when_to_stop(missed, false, n_lots: int, stop: Stop) -> None:  # type: ignore[no-untyped-def]
    assert rule([say("missed", *missed), say("false rejects", *false)], n_lots, RULES).stop is stop


def test_a_worse_challenger_is_taken_back_and_a_better_one_wins() -> None:
    rng = np.random.default_rng(3)
    worse, _ = decide(simulate(rng, 300, (0.9, 0.6), (0.02, 0.02)), RULES, rng)
    better, _ = decide(simulate(rng, 399, (0.6, 0.95), (0.05, 0.05)), RULES, rng)
    assert worse.stop is Stop.harm
    assert better.stop is Stop.gain
    assert "surely" in better.reason


def test_nothing_known_goes_on() -> None:
    empty = np.empty(0, np.int64)
    ruling, _ = decide(Outcomes(empty, np.empty(0, bool), empty > 0, empty > 0), RULES, np.random.default_rng(0))
    assert ruling.stop is Stop.go_on


def test_equal_models_are_told_apart_in_at_most_5_percent_of_comparisons_looked_at_after_every_lot() -> None:
    """All looks at once: bounds that ever exclude 0, on either metric."""
    rng, stopped = np.random.default_rng(0), 0
    for _ in range(200):
        outcomes = simulate(rng, 200, (0.8, 0.8), (0.05, 0.05), share=0.3)
        ever = False
        for metric in METRICS:
            wrong, might = outcomes.counts(metric)
            shares = np.divide(wrong, might, out=np.full(len(might), np.nan), where=might > 0)
            bounds = bound_mean(pair_lots(shares, outcomes.challenger), error=0.025, low=-1, high=1)
            ever |= bool(((bounds.low > 0) | (bounds.high < 0)).any())
        stopped += ever
    assert stopped / 200 <= 0.05


def test_lots_stay_where_they_are_and_the_share_is_kept() -> None:
    split = Split(0.2, "plant\nm2")
    arms = [split.arm_of(f"lot {i}") for i in range(5000)]
    assert arms == [split.arm_of(f"lot {i}") for i in range(5000)]
    share = np.mean([arm is Arm.challenger for arm in arms])
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 5000)
    again = [Split(0.2, "plant\nm3").arm_of(f"lot {i}") for i in range(5000)]
    both = np.mean([a is b is Arm.challenger for a, b in zip(arms, again, strict=True)])
    assert both == pytest.approx(0.04, abs=0.012), "another comparison shares out anew"


def test_a_larger_share_keeps_the_lots_it_had() -> None:
    lots = [str(i) for i in range(500)]
    few = {lot for lot in lots if Split(0.1, "s").arm_of(lot) is Arm.challenger}
    assert few < {lot for lot in lots if Split(0.5, "s").arm_of(lot) is Arm.challenger}
