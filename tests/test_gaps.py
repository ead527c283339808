"""Verdicts by hand: each one fires, in the order of cost, with the numbers that it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from activesel.coverage import Region
from activesel.gaps import ACTIONS, Facts, Gap, choose_action, find_gaps
from activesel.proof import Recall, wilson


def facts(**changed: Any) -> Facts:
    """A class of which nothing is wanted: 10 labelled, 5 in the pool of 100, 50 gold images."""
    base: dict[str, Any] = {
        "name": "crack", "class_name": "crack", "where": {}, "importance": 1.0, "wanted_images": 0,
        "wanted_recall": None, "wanted_gold": None, "n_labelled": 10, "n_groups": 10, "recall": None, "n_gold": 50,
        "likely": 5, "n_pool": 100,
    }  # fmt: skip
    return Facts(**base | changed)


def gaps_of(*all_facts: Facts) -> list[Gap]:
    return find_gaps(all_facts, confidence=0.95, false_rejects=0.01, region_labels=2)


def recall_of(found: int, tested: int) -> Recall:
    return Recall(wilson(found, tested, 0.95), tested, found, tested - found)


def region(n_labelled: int, n_pool: int, n_missed: int = 0) -> Region:
    return Region(np.ones(2, np.float32), np.arange(n_labelled + n_pool), n_labelled, n_pool, 0, n_missed)


@pytest.mark.parametrize(
    ("likely", "n_real", "action"),
    [(3, 0, "label"), (3, 9, "label"), (None, 0, "label"), (0, 1, "synthesise"), (0, 0, "collect")],
)
def test_the_cheapest_way(likely: int | None, n_real: int, action: str) -> None:
    assert choose_action(likely, n_real) == action


def test_nothing_wanted_nothing_missing() -> None:
    assert gaps_of(facts()) == []
    assert gaps_of(facts(wanted_images=10, wanted_recall=0.9, recall=recall_of(10, 10))) == []


def test_the_pool_first_then_synthesis() -> None:
    label, synthesise = gaps_of(facts(wanted_images=40))
    assert (label.action, label.missing, label.have, label.need) == ("label", 5, 10, 40)
    assert (synthesise.action, synthesise.missing) == ("synthesise", 25)
    assert label.priority == synthesise.priority == pytest.approx(30 / 40)
    assert "10 of 40 labelled" in label.reason
    assert "about 5 images in the pool" in label.reason


def test_none_in_the_pool() -> None:
    (one,) = gaps_of(facts(wanted_images=40, likely=0, n_labelled=1, n_groups=1))
    assert (one.action, one.missing) == ("synthesise", 39)
    (one,) = gaps_of(facts(wanted_images=40, likely=0, n_labelled=0, n_groups=0))
    assert (one.action, one.missing) == ("collect", 40)
    assert "none in the pool looks like it" in one.reason


def test_without_a_label_nobody_knows() -> None:
    found = gaps_of(facts(wanted_images=40, wanted_recall=0.9, likely=None, n_labelled=0, n_groups=0, n_gold=0))
    assert {(one.kind, one.action) for one in found} == {("images", "label"), ("proof", "label")}
    assert all("nothing is labelled yet" in one.reason for one in found)


def test_recall_below_what_is_wanted() -> None:
    (one,) = gaps_of(facts(wanted_recall=0.9, recall=recall_of(15, 20)))
    assert (one.kind, one.action, one.missing) == ("recall", "label", 3)  # of 5 missed, 2 may be
    assert one.priority == pytest.approx((0.9 - 0.75) / 0.9)
    assert "0.75 of 20 parts" in one.reason
    assert "by chance" not in one.reason, "the interval ends at 0.89"
    (one,) = gaps_of(facts(wanted_recall=0.9, recall=recall_of(16, 20), likely=0))
    assert one.action == "synthesise"
    assert "by chance" in one.reason, "the interval ends at 0.92"


def test_a_recall_that_labels_did_not_bring() -> None:
    """The images that were asked for are there, every look has its labels, the pool has no more, and it misses most."""
    done = facts(wanted_recall=0.9, recall=recall_of(5, 20), likely=0, wanted_images=10, regions=(region(5, 0, 4),))
    (one,) = gaps_of(done)
    assert (one.kind, one.action) == ("recall", "cannot be met")
    assert "more of the same will not do" in one.reason


def test_a_proof_takes_59_images() -> None:
    (one,) = gaps_of(facts(wanted_recall=0.95, n_gold=58))
    assert (one.kind, one.action, one.need, one.missing, one.draws) == ("proof", "label", 59, 1, 20)
    assert "takes 59 test images without a miss, 93 with one" in one.reason
    assert gaps_of(facts(wanted_recall=0.95, n_gold=59)) == []
    (one,) = gaps_of(facts(wanted_recall=0.95, n_gold=53))
    assert one.action == "cannot be met", "53 and 5 of the pool are one too few"
    assert "0.95" in one.reason


def test_a_gold_set_too_small_for_its_recall() -> None:
    (one,) = gaps_of(facts(wanted_recall=0.95, wanted_gold=20))
    assert (one.action, one.need) == ("cannot be met", 59)
    assert "gold is set to 20, which can show 0.86 at most" in one.reason
    (one,) = gaps_of(facts(wanted_recall=0.9999999))
    assert (one.action, one.kind) == ("cannot be met", "proof")


def test_gold_images_without_a_recall() -> None:
    (one,) = gaps_of(facts(wanted_gold=55))
    assert (one.kind, one.action, one.missing) == ("gold", "label", 5)
    (one,) = gaps_of(facts(wanted_gold=60))
    assert (one.kind, one.action) == ("gold", "collect")


def test_looks_with_too_few_labels() -> None:
    looks = (region(8, 2), region(1, 9), region(1, 0, n_missed=1), region(1, 0), region(0, 10))
    found = gaps_of(facts(regions=looks))
    assert [(one.name, one.action, one.missing) for one in found] == [
        ("crack, look 5", "label", 2), ("crack, look 2", "label", 1), ("crack, look 3", "synthesise", 1),
    ]  # fmt: skip
    assert found[0].priority == pytest.approx(10 / 32)
    assert found[1].priority == pytest.approx(10 / 32 / 2)
    assert found[0].centre is not None


def test_ranked_by_importance() -> None:
    rare, common = facts(name="rare", wanted_images=11, importance=20), facts(name="common", wanted_images=15)
    assert [one.name for one in gaps_of(common, rare)] == ["rare", "common"]
    assert [one.priority for one in gaps_of(common, rare)] == pytest.approx([20 / 11, 5 / 15])


def test_every_action_has_been_seen() -> None:
    found = gaps_of(
        facts(wanted_images=40), facts(wanted_images=5, n_labelled=0, likely=0), facts(wanted_recall=0.99),
    )  # fmt: skip
    assert {one.action for one in found} == set(ACTIONS)
