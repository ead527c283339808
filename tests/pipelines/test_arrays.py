"""The Python API on plain arrays, and what surrounds a strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import activesel
from activesel.errors import ActiveselError, DataError, UsageError
from activesel.nearest import to_distance
from activesel.pipelines.arrays import _AROUND
from activesel.records import KnnGraph, Quota
from activesel.strategies import find_strategy, strategy_names

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(300, 12)).astype(np.float32)
PROBS = RNG.dirichlet(np.ones(3), size=300).astype(np.float32)


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_through_the_api(name: str) -> None:
    classes = np.arange(20) % 3
    picks = activesel.select(
        VECTORS, budget=15, strategy=name, labelled=np.arange(20), classes=classes, exemplars=np.array([3, 4])
    )
    assert len(np.unique(picks.rows)) == 15
    assert picks.rows.min() >= 20
    assert len(picks.reasons) == 15
    assert all(reason.startswith(find_strategy(name).lead) for reason in picks.reasons)


def test_focus_on_a_class_through_the_api() -> None:
    """The class's labelled rows are exemplars; where no label shows it, exemplars have to."""
    asked = {"budget": 15, "strategy": "focus", "labelled": np.arange(20), "classes": np.arange(20) % 3}
    of_labels = activesel.select(VECTORS, focus=2, **asked)
    assert len(np.unique(of_labels.rows)) == 15
    assert 200 in activesel.select(VECTORS, focus=2, exemplars=np.array([200]), **asked).rows
    assert activesel.select(VECTORS, focus=5, exemplars=np.array([200]), **asked).rows[0] == 200
    with pytest.raises(UsageError, match="focus needs exemplars"):
        activesel.select(VECTORS, focus=5, **asked)
    with pytest.raises(DataError, match="focus is a class index"):
        activesel.select(VECTORS, focus=-2, **asked)


def test_options_around_never_shadow_a_strategy_option() -> None:
    for name in strategy_names():
        taken = find_strategy(name).options.keys() & set(_AROUND)
        assert taken <= {"neighbours"}, f"{name}: {taken}"


def test_input_arrays_stay_as_they_were() -> None:
    vectors, probs = VECTORS.copy(), PROBS.copy()
    activesel.select(vectors, budget=5, probs=probs, strategy="badge")
    assert (vectors == VECTORS).all()
    assert (probs == PROBS).all()


def test_reason_names_both_classes_what_it_stands_for_and_the_nearest_label() -> None:
    vectors = np.repeat(np.eye(3), 10, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(30, 3))
    probs = np.tile([[0.51, 0.48, 0.01]], (30, 1))
    picks = activesel.select(
        vectors, budget=2, probs=probs, labelled=[0], classes=[0], class_names=("crack", "fray", "free")
    )
    assert set(picks.rows // 10) == {1, 2}
    assert "between crack and fray, margin 0.03" in picks.reasons[0]
    assert "stands for 9 unlabelled images" in picks.reasons[0]
    assert "nearest label 1.4" in picks.reasons[0]


def test_stands_for_maps_every_row_to_its_nearest_pick_or_a_label() -> None:
    labelled = np.arange(5)
    picks = activesel.select(VECTORS, budget=10, labelled=labelled, classes=labelled % 2)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    known = np.concatenate((picks.rows, labelled))
    nearest = (unit @ unit[known].T).argmax(axis=1)
    expected = np.where(nearest < 10, nearest, -1)
    assert picks.stands_for is not None
    assert (picks.stands_for == expected).mean() == 1.0


def test_explore_share_is_random_with_its_propensity() -> None:
    draws = [activesel.select(VECTORS, budget=40, explore=0.25, seed=seed) for seed in range(30)]
    for picks in draws:
        assert picks.propensity is not None
        random = ~np.isnan(picks.propensity)
        assert random.sum() == 10
        assert picks.propensity[random] == pytest.approx(10 / 300)
        assert all(
            "chance 1 in 30" in reason for reason, is_random in zip(picks.reasons, random, strict=True) if is_random
        )
    drawn = np.concatenate([picks.rows[-10:] for picks in draws])
    assert len(np.unique(drawn)) > 150, "300 draws of 300 rows should meet about 190 of them"


def test_explored_rows_count_as_known_for_the_strategy() -> None:
    """Twin rows: whatever explore drew, k-center must not spend a pick on its twin."""
    twins = np.repeat(np.random.default_rng(1).normal(size=(20, 12)), 2, axis=0)
    picks = activesel.select(twins, budget=20, explore=0.3, strategy="k-center")
    assert len(np.unique(picks.rows // 2)) == 20


def test_evaluation_draw_does_not_steer_and_its_near_duplicates_stay_out_of_training() -> None:
    twins = np.repeat(np.random.default_rng(1).normal(size=(60, 12)), 3, axis=0)
    picks = activesel.select(
        twins, budget=30, evaluation=0.4, near_duplicate=0.99, group_cap=3, strategy="k-center", neighbours=8
    )
    assert picks.propensity is not None
    drawn = ~np.isnan(picks.propensity)
    assert drawn.sum() == 12
    assert all("evaluation" in picks.reasons[i] for i in np.flatnonzero(drawn))
    assert not set(picks.rows[drawn] // 3) & set(picks.rows[~drawn] // 3)


def test_held_out_rows_are_neither_picked_nor_are_their_twins() -> None:
    twins = np.repeat(np.random.default_rng(1).normal(size=(40, 12)), 2, axis=0)
    picks = activesel.select(twins, budget=20, held_out=np.arange(0, 20), near_duplicate=0.99, group_cap=1)
    assert picks.rows.min() >= 20


def test_near_duplicate_cap_counts_labelled_members() -> None:
    twins = np.repeat(np.random.default_rng(1).normal(size=(30, 12)), 4, axis=0)
    picks = activesel.select(
        twins, budget=25, labelled=[0, 4], classes=[0, 1], near_duplicate=0.99, group_cap=1, strategy="random"
    )
    groups = picks.rows // 4
    assert len(np.unique(groups)) == 25
    assert not set(groups) & {0, 1}


def test_shortfall_is_said() -> None:
    twins = np.repeat(np.random.default_rng(1).normal(size=(10, 12)), 4, axis=0)
    picks = activesel.select(twins, budget=15, near_duplicate=0.99, group_cap=1)
    assert len(picks.rows) == 10
    assert "only 10 of 15" in picks.notes[0]


def test_quota_and_cost_through_the_api() -> None:
    codes = np.arange(300) % 3
    quota = Quota("quota line", codes, np.array([4, 100, 100]), np.array([0, 0, 9]))
    picks = activesel.select(VECTORS, budget=20, quotas=(quota,), explore=0.2)
    assert (codes[picks.rows] == 0).sum() <= 4
    assert (codes[picks.rows] == 2).sum() >= 9
    cost = np.linspace(1, 3, 300)
    cheap = activesel.select(VECTORS, budget=20.0, cost=cost, strategy="random")
    assert 17 < cost[cheap.rows].sum() <= 20


def test_labels_of_one_class_are_a_cold_start_with_a_note() -> None:
    picks = activesel.select(VECTORS, budget=5, labelled=np.arange(10), classes=np.zeros(10, int))
    assert len(picks.rows) == 5
    assert "one class" in picks.notes[0]
    with pytest.raises(UsageError, match=r"entropy needs probs.*two classes"):
        activesel.select(VECTORS, budget=5, labelled=np.arange(10), classes=np.zeros(10, int), strategy="entropy")


def test_a_class_with_one_example_is_fine() -> None:
    classes = np.array([0] * 9 + [1])
    assert (
        len(activesel.select(VECTORS, budget=5, labelled=np.arange(10), classes=classes, strategy="margin").rows) == 5
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", strategy_names())
def test_a_read_only_memory_mapped_file_gives_the_same_picks(tmp_path: Any, name: str, dtype: type) -> None:
    unit = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(dtype)
    np.save(tmp_path / "v.npy", unit)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    rest = {"labelled": np.arange(20), "classes": np.arange(20) % 3, "strategy": name, "exemplars": np.array([3, 4])}
    assert (
        activesel.select(mapped, budget=9, **rest).rows.tolist()
        == activesel.select(unit, budget=9, **rest).rows.tolist()
    )


def bad(**changes: Any) -> dict[str, Any]:
    return {"vectors": VECTORS, "budget": 5} | changes


NAN_VECTORS = VECTORS.copy()
NAN_VECTORS[7, 2] = np.nan
NAN_PROBS = PROBS.copy()
NAN_PROBS[3, 0] = np.nan


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (bad(budget=0), DataError, "above 0"),
        (bad(budget=-3), DataError, "above 0"),
        (bad(budget=float("nan")), DataError, "above 0"),
        (bad(budget=301), DataError, "budget 301 is more than the 300"),
        (bad(budget=0.5, cost=np.ones(300)), DataError, "does not pay for one image"),
        (bad(vectors=NAN_VECTORS), DataError, "row 7"),
        (bad(vectors=VECTORS[0]), DataError, "one row per image"),
        (bad(vectors=np.empty((0, 4))), DataError, "one row per image"),
        (bad(probs=NAN_PROBS), DataError, "row 3"),
        (bad(probs=PROBS[:10]), DataError, "number of rows"),
        (bad(probs=PROBS * 2), DataError, "sum to 1"),
        (bad(probs=PROBS - 1), DataError, "negative"),
        (bad(labelled=[1, 1]), DataError, "twice"),
        (bad(labelled=[300]), DataError, "not in the pool"),
        (bad(labelled=[0.5]), DataError, "integers"),
        (bad(labelled=[1, 2], classes=[0]), DataError, "do not fit"),
        (bad(labelled=[1], classes=[-1]), DataError, "negative"),
        (bad(classes=[0]), UsageError, "without labelled"),
        (bad(labelled=[1], classes=[7], probs=PROBS), DataError, "no column in probs"),
        (bad(strategy="badgr"), UsageError, "badge"),
        (bad(colour="red"), UsageError, "no option 'colour'"),
        (bad(strategy="margin"), UsageError, "needs uncertainty"),
        (bad(strategy="power-bald"), UsageError, "mc_probs"),
        (bad(strategy="exemplars"), UsageError, "--exemplars"),
        (bad(exemplars=np.ones((2, 5))), DataError, "another width"),
        (bad(mc_probs=np.ones((300, 3))), DataError, "shape"),
        (bad(candidates=np.ones(3, bool)), DataError, "one true or false per row"),
        (bad(candidates=np.zeros(300, bool)), DataError, "nothing left"),
        (bad(cost=np.zeros(300)), DataError, "above 0 per row"),
        (bad(budget=2.5), DataError, "whole number"),
        (bad(uncertainty=np.full(300, 2.0)), DataError, "0..1 per row"),
        (bad(uncertainty=np.full(300, np.nan)), DataError, "0..1 per row"),
        (bad(quotas=(Quota("q", np.zeros(3, int), np.ones(1), np.zeros(1)),)), DataError, "does not fit the rows"),
        (bad(quotas=(Quota("q", np.full(300, 5), np.ones(1), np.zeros(1)),)), DataError, "does not fit the rows"),
        (bad(probs=PROBS, class_names=("a", "b")), DataError, "fewer class names"),
        (bad(mc_probs=PROBS[:, None], class_names=("a", "b")), DataError, "fewer class names"),
        (bad(graph=KnnGraph(np.zeros((9, 2), np.int32), np.zeros((9, 2), np.float32))), DataError, "graph"),
        (bad(group_cap=-1), DataError, "group_cap"),
        (bad(neighbours=0), DataError, "neighbours"),
        (bad(near_duplicate=2.0), DataError, "a cosine"),
        (bad(explore=1.5), DataError, "share of the budget"),
        (bad(explore=0.6, evaluation=0.6), DataError, "more than the budget"),
    ],
)
def test_each_wrong_input_has_its_line(arguments: dict[str, Any], kind: type[ActiveselError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        activesel.select(**arguments)
    assert "\n" not in str(caught.value)


def test_distance_by_hand() -> None:
    assert to_distance(np.array([1.0, 0.0, -1.0])).tolist() == pytest.approx([0.0, 2**0.5, 2.0])
