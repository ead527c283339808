"""Selecting from a workspace: budgets, random shares, and the user's own model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from activesel.errors import DataError, UsageError
from activesel.pipelines.choose import Request, choose
from activesel.strategies import strategy_names
from tests.pipelines.workspaces import (
    KINDS,
    Job,
    make_job,
    make_vectors,
    write_predictions,
)

pytestmark = pytest.mark.usefixtures("plain_pages")

NO_CAP = "duplicates.group_cap=0"


# Budgets and shares


def test_everything_that_is_left(job: Job) -> None:
    job.label(range(10))
    result = job.select(30, NO_CAP)
    assert sorted(job.rows(result)) == list(range(10, 40))
    assert sum(pick.stands_for for pick in result.picks) >= 30


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_none(job: Job, budget: float) -> None:
    with pytest.raises(DataError, match="the budget must be above 0"):
        job.select(budget)


def test_half_an_image(job: Job) -> None:
    with pytest.raises(DataError, match="the budget is a number of images"):
        job.select(2.5)


def test_a_budget_above_what_may_be_picked(job: Job) -> None:
    job.label(range(10))
    with pytest.raises(DataError, match="budget 31 is more than the 30 images that may be picked"):
        job.select(31)


def test_explore_and_evaluation_may_be_the_whole_budget(job: Job) -> None:
    result = job.select(5, "selection.explore=0.3", "selection.evaluation=0.7")
    assert result.n_by_kind == {"explore": 1, "evaluation": 4}
    assert [pick.kind for pick in result.picks] == ["explore"] + ["evaluation"] * 4
    assert all(pick.propensity is not None for pick in result.picks)
    assert result.notes == ()


def test_more_than_the_whole_budget(job: Job) -> None:
    with pytest.raises(DataError, match=r"more than the budget; found 0.6 \+ 0.5"):
        job.select(5, "selection.explore=0.6", "selection.evaluation=0.5")


def test_a_share_of_no_image_is_said(job: Job) -> None:
    result = job.select(5, "selection.evaluation=0.05")
    assert "the evaluation share of 0.05 comes to no image at a budget of 5" in result.notes


def test_propensity_is_the_chance(job: Job) -> None:
    job.label(range(8))
    result = job.select(10, NO_CAP, "selection.explore=0.2", "selection.evaluation=0.3")
    chances = {pick.kind: pick.propensity for pick in result.picks}
    assert chances["strategy"] is None
    assert chances["evaluation"] is not None
    assert chances["evaluation"] <= 3 / 24  # near-duplicates of labelled images cannot be drawn
    assert chances["explore"] == pytest.approx(2 / 29, abs=0.02)


def test_the_cap_exhausts_the_pool_and_says_so(tmp_path: Path) -> None:
    job = make_job(tmp_path, vectors=np.repeat(make_vectors(8), 5, axis=0))
    result = job.select(20)
    assert len({row // 5 for row in job.rows(result)}) == result.n_picks == 8
    assert any("only 8 of 20 picks: the near-duplicate cap" in note for note in result.notes)
    assert json.loads((result.folder / "batch.json").read_text())["notes"] == list(result.notes)


@pytest.mark.parametrize("cap", [0, 1])
def test_twins_of_evaluation_images_never_train(tmp_path: Path, cap: int) -> None:
    """In this round and the next, whether or not picks are capped; explored images train, too."""
    job = make_job(tmp_path, vectors=np.repeat(make_vectors(20), 2, axis=0))
    settings = (f"duplicates.group_cap={cap}", "selection.evaluation=0.5")
    first = job.select(12, *settings)
    held = {row // 2 for row in job.rows(first, "evaluation")}
    assert not held & {row // 2 for row in job.rows(first, "strategy")}
    job.label(job.rows(first, "strategy"))
    second = job.select(10, f"duplicates.group_cap={cap}", "selection.explore=0.5")
    assert not held & {row // 2 for row in job.rows(second)}


def test_only_twins_of_evaluation_images_are_left(tmp_path: Path) -> None:
    job = make_job(tmp_path, 8, vectors=np.repeat(make_vectors(2), 4, axis=0))
    result = job.select(6, "selection.evaluation=0.84")  # 5 of 2 x 4 images: both groups
    assert result.n_by_kind.get("strategy", 0) == 0
    assert any("near-duplicate of an evaluation image" in note for note in result.notes)


# The user's model


@pytest.fixture
def detector(job: Job, tmp_path: Path) -> Path:
    """Boxes of a detector: only image 5 is doubtful, image 6 a little; a quarter has no box at all."""
    doubt = {5: [0.5], 6: [0.7]}
    boxes = [[] if i % 4 == 3 else [doubt.get(i, [0.98])] for i in range(40)]
    return write_predictions(job, tmp_path / "boxes.parquet", classes=["pit"], box_probs=boxes)


@pytest.mark.parametrize(
    "strategy", ["margin", "weighted-k-center", "cluster-margin", "default", "uncertainty-herding"]
)
@pytest.mark.parametrize("labelled", [0, 8])
def test_boxes_steer(job: Job, detector: Path, strategy: str, labelled: int) -> None:
    job.label(range(30, 30 + labelled))
    result = job.select(3, NO_CAP, f"selection.strategy={strategy}", predictions=detector)
    assert not any(row % 4 == 3 for row in job.rows(result)), "no box, no doubt"
    assert {pick.predicted for pick in result.picks} == {None}, "a head on the labels is not the user's model"
    scores = {job.ids.index(pick.image_id): pick.scores["uncertainty"] for pick in result.picks}
    if strategy != "cluster-margin":  # which begins with the smallest cluster, wherever the doubt is
        assert scores[5] == pytest.approx(1.0), "the one doubtful image"


def test_boxes_and_a_strategy_that_needs_classes(job: Job, detector: Path) -> None:
    with pytest.raises(UsageError, match="badge needs probs"):
        job.select(3, "selection.strategy=badge", predictions=detector)
    job.label(range(8))
    result = job.select(3, "selection.strategy=badge", predictions=detector)
    assert any("come from a linear head on the labels" in note for note in result.notes)


def test_mc_probs_with_power_bald(job: Job, tmp_path: Path) -> None:
    agree, disagree = [[0.9, 0.1], [0.9, 0.1]], [[0.99, 0.01], [0.01, 0.99]]
    mc_probs = [disagree if i in (4, 9) else agree for i in range(40)]
    preds = write_predictions(job, tmp_path / "mc.parquet", classes=["free", "pit"], mc_probs=mc_probs)
    result = job.select(2, "selection.strategy=power-bald", predictions=preds)
    assert set(job.rows(result)) == {4, 9}
    assert all(pick.scores["disagreement"] > 0.8 for pick in result.picks)


def test_probs_alone_are_not_enough_for_power_bald(job: Job, tmp_path: Path) -> None:
    job.label(range(8))
    preds = write_predictions(job, tmp_path / "p.parquet", classes=KINDS, probs=[[0.25] * 4] * 40)
    with pytest.raises(UsageError, match=r"power-bald needs mutual information.*mc_probs"):
        job.select(2, "selection.strategy=power-bald", predictions=preds)
    assert job.select(2, "selection.strategy=power-bald").n_picks == 2


def test_labels_of_one_class_are_said(job: Job) -> None:
    job.label([0, 4, 8])
    assert any("one class" in note for note in job.select(3).notes)


@pytest.mark.parametrize("strategy", strategy_names())
def test_a_pool_of_two(strategy: str) -> None:
    vectors = make_vectors(2)
    request = Request(vectors, 1, strategy, probs=np.array([[0.5, 0.5], [0.9, 0.1]], np.float32),
                      mc_probs=np.full((2, 2, 2), 0.5, np.float32), exemplars=vectors[:1])  # fmt: skip
    assert len(choose(request).picks.rows) == 1


@pytest.mark.parametrize("strategy", strategy_names())
def test_no_money_left_for_the_strategy(strategy: str) -> None:
    """The random share leaves less than any image costs."""
    rng = np.random.default_rng(0)
    request = Request(
        make_vectors(30), 10.0, strategy, probs=rng.dirichlet(np.ones(3), 30).astype(np.float32),
        mc_probs=rng.dirichlet(np.ones(3), (30, 4)).astype(np.float32), exemplars=make_vectors(2, seed=1),
        cost=np.full(30, 3.0), explore=0.9,
    )  # fmt: skip
    assert len(choose(request).picks.rows) == 3
