"""Verdicts by hand, each way; average precision against scikit-learn; bounds that know noise from gain."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.promotion import (
    Bound,
    Worth,
    average_precision,
    bound_difference,
    count_needed,
    judge_by_siblings,
    judge_worth,
)

SURE, UNSURE, WORSE = Bound(0.10, 0.04, 0.15), Bound(0.05, -0.05, 0.15), Bound(-0.05, -0.1, 0.0)
LEVEL, FALLING = Bound(0.0, -0.004, 0.004), Bound(-0.01, -0.03, 0.01)


def test_promoted_where_the_class_gains_and_no_other_falls() -> None:
    worth = judge_worth({"real": SURE, "augmented": SURE}, {"dent": LEVEL}, 12)
    assert worth.is_promoted
    assert worth.needed is None


def test_refused_without_a_sure_gain_over_each_rival() -> None:
    worth = judge_worth({"real": SURE, "augmented": UNSURE}, {"dent": LEVEL}, 12)
    assert (worth.outcome, worth.is_promoted) == ("no gain", False)
    assert "augmented: +0.050 (-0.050 to +0.150)" in worth.reason
    assert worth.needed == 48  # half the width for 0.05 of 0.10: four times as many


def test_more_images_are_not_asked_for_where_it_hurts() -> None:
    worth = judge_worth({"real": WORSE}, {}, 12)
    assert (worth.outcome, worth.needed) == ("no gain", None)


def test_a_gain_of_exactly_nothing_is_none() -> None:
    assert judge_worth({"real": Bound(0.0, 0.0, 0.0)}, {}, 12).outcome == "no gain"


def test_nan_promotes_nothing() -> None:
    nothing = Bound(float("nan"), float("nan"), float("nan"))
    assert judge_worth({"real": nothing}, {}, 12).outcome == "no gain"
    assert judge_worth({"real": SURE}, {"dent": nothing}, 12).outcome == "another class falls"


def test_refused_where_another_class_falls() -> None:
    worth = judge_worth({"real": SURE}, {"dent": LEVEL, "stain": FALLING}, 12)
    assert worth.outcome == "another class falls"
    assert worth.reason.startswith("stain")
    assert judge_worth({"real": SURE}, {"stain": FALLING}, 12, most_fall=0.05).is_promoted


def test_too_few_real_images_say_how_many_are_needed() -> None:
    worth = judge_worth({"real": SURE}, {}, 3)
    assert (worth.outcome, worth.needed) == ("too few", 5)
    assert judge_worth({"real": SURE}, {}, 5).is_promoted


def test_count_needed_by_hand() -> None:
    assert count_needed(Bound(0.05, -0.05, 0.15), 10) == 40
    assert count_needed(Bound(0.05, -0.001, 0.15), 10) == 11
    assert count_needed(Bound(-0.01, -0.05, 0.15), 10) is None


def test_average_precision_by_hand() -> None:
    scores, is_positive = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, is_positive)[0] == pytest.approx((1 + 2 / 3) / 2)
    # The second row left out: both positives come first. The first alone left out: 1 of 2.
    weights = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [0, 1, 0, 1]])
    assert average_precision(scores, is_positive, weights)[:2] == pytest.approx([1.0, 0.5])
    assert np.isnan(average_precision(scores, is_positive, weights)[2])


def test_average_precision_is_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(3)
    for _ in range(5):
        scores = rng.integers(0, 12, 60) / 12  # many ties
        is_positive = rng.random(60) < 0.3
        times = rng.integers(0, 3, (4, 60))
        times[:, is_positive] += 1
        theirs = [average_precision_score(is_positive, scores, sample_weight=row) for row in times]
        assert average_precision(scores, is_positive, times) == pytest.approx(theirs)


def test_bounds_see_a_gain_and_call_noise_noise() -> None:
    rng = np.random.default_rng(0)
    is_positive = np.arange(300) % 10 == 0
    noise = rng.standard_normal((3, 300))
    weak, strong = noise[0] + is_positive, noise[0] + 3 * is_positive
    gain = bound_difference([strong], [weak], is_positive, np.arange(300), np.random.default_rng(1))
    assert gain.low > 0.2
    level = bound_difference([noise[1] + is_positive], [noise[2] + is_positive], is_positive, np.arange(300),
                             np.random.default_rng(1))  # fmt: skip
    assert level.low < 0 < level.high


def test_bounds_widen_with_groups_and_repeat_with_the_seed() -> None:
    rng = np.random.default_rng(0)
    is_positive = np.arange(240) % 6 == 0
    theirs = rng.standard_normal(240)
    ours = theirs + 0.8 * np.repeat(rng.standard_normal(20), 12) * is_positive  # what a group shares
    single, grouped, again = (
        bound_difference([ours], [theirs], is_positive, groups, np.random.default_rng(1))
        for groups in (np.arange(240), np.repeat(np.arange(20), 12), np.repeat(np.arange(20), 12))
    )
    assert grouped == again
    assert grouped.high - grouped.low > single.high - single.low


def gains_of(**by_sibling: list[float]) -> dict[str, dict[str, list[float]]]:
    return {"real": dict(by_sibling), "augmented": dict(by_sibling)}


def by_siblings(gains: dict[str, dict[str, list[float]]]) -> Worth:
    return judge_by_siblings(gains, 3, np.random.default_rng(0))


def test_siblings_speak_for_a_class_that_is_too_rare() -> None:
    worth = by_siblings(gains_of(dent=[0.1, 0.12], pit=[0.2, 0.1], scratch=[0.05, 0.07]))
    assert (worth.outcome, worth.is_promoted) == ("promoted by siblings", True)
    assert "+0.107" in worth.reason


def test_one_sibling_that_falls_is_enough_to_refuse() -> None:
    worth = by_siblings(gains_of(dent=[0.3, 0.3], pit=[0.3, 0.3], scratch=[-0.05, 0.01]))
    assert (worth.outcome, worth.is_promoted) == ("too few", False)
    assert worth.reason.endswith("scratch falls by 0.020")


def test_siblings_that_are_not_sure_promote_nothing() -> None:
    worth = by_siblings(gains_of(dent=[0.3, -0.3], pit=[0.2, -0.2], scratch=[0.02, 0.0]))
    assert not worth.is_promoted
    assert worth.reason.endswith("that is not sure")


def test_two_siblings_are_too_few() -> None:
    worth = by_siblings(gains_of(dent=[0.3, 0.3], pit=[0.3, 0.3]))
    assert (worth.outcome, worth.needed) == ("too few", 5)
    assert not judge_by_siblings({}, 3, np.random.default_rng(0)).is_promoted
