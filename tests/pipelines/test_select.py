"""The story of select: what steers it, what repeats it, what a crash leaves, and what it promises."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.config import load_config
from activesel.errors import DataError, UnreachableError, UsageError
from activesel.pipelines import select as select_module
from activesel.pipelines.batch import read_batch
from activesel.pipelines.choose import Request, choose
from activesel.pipelines.oneshot import select_from_source
from activesel.pipelines.select import SelectRequest, plan_batch, select_batch
from activesel.strategies import strategy_names
from activesel.workspace import create_workspace
from tests.cli.samples import tiny_backbone, write_photos
from tests.pipelines.workspaces import (
    KINDS,
    Job,
    fake_pages,
    make_job,
    make_vectors,
    read_csv,
    snapshot_tree,
    write_predictions,
)

NO_CAP = "duplicates.group_cap=0"


@pytest.fixture(autouse=True)
def _plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pages(monkeypatch)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path)


# The same request again


def test_the_same_request_is_the_same_batch(job: Job) -> None:
    first, again = job.select(5), job.select(5)
    assert (first.reused, again.reused) == (False, True)
    assert (again.batch_id, again.folder, again.picks, again.notes) == (first.batch_id, first.folder, first.picks, ())
    assert job.batch_folders == ["0001"]


def test_the_command_and_the_kind_of_number_do_not_matter(job: Job) -> None:
    job.select(5, command="activesel select --budget 5")
    assert job.select(5.0, command="activesel select --budget 5.0").reused


def test_settings_that_decide_nothing_do_not_matter(job: Job) -> None:
    job.select(5)
    assert job.select(5, "report.thumbnail_px=64", "ingest.workers=3", "embedding.batch_size=7").reused


@pytest.mark.parametrize("setting", ["seed=7", "selection.strategy=k-center", "selection.components=6", NO_CAP])
def test_settings_that_decide_make_another_batch(job: Job, setting: str) -> None:
    job.select(5)
    other = job.select(5, setting)
    assert (other.reused, other.batch_id) == (False, "0002")


def test_a_new_label_makes_another_batch(job: Job) -> None:
    job.label([0, 1])
    first = job.select(5)
    assert job.select(5).reused
    job.label([0], ["pit"])  # a changed mind counts, too
    assert job.select(5).batch_id == "0002"
    job.label(job.rows(first)[:1])
    assert job.select(5).batch_id == "0003"


def test_other_predictions_make_another_batch(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(job, path, probs=[[0.4, 0.6]] * 40)
    job.select(5, predictions=path)
    assert job.select(5, predictions=path).reused
    write_predictions(job, path, probs=[[0.4, 0.6]] * 39 + [[0.5, 0.5]])
    assert not job.select(5, predictions=path).reused


def test_other_exemplars_in_the_same_file_make_another_batch(job: Job, tmp_path: Path) -> None:
    listing = tmp_path / "wanted.txt"
    listing.write_text(job.ids[0])
    job.select(3, "selection.strategy=exemplars", exemplars=listing)
    listing.write_text(job.ids[1])
    assert not job.select(3, "selection.strategy=exemplars", exemplars=listing).reused


def test_a_batch_with_random_shares_is_found_again(job: Job) -> None:
    """Its own evaluation draws are held out by now; they must not make it look like another request."""
    first = job.select(10, "selection.evaluation=0.4", "selection.explore=0.2")
    again = job.select(10, "selection.evaluation=0.4", "selection.explore=0.2")
    assert again.reused
    assert again.picks == first.picks


def test_answers_to_an_evaluation_batch_make_room_for_another(job: Job) -> None:
    first = job.rows(job.select(4, "selection.evaluation=1.0"))
    assert job.select(4, "selection.evaluation=1.0").reused
    job.label(first)
    second = job.select(4, "selection.evaluation=1.0")
    assert not second.reused
    assert not set(first) & set(job.rows(second))


def test_a_batch_whose_training_images_were_held_out_since_is_made_anew(job: Job) -> None:
    """Only without a project: there an image that was picked and has no label may be drawn for evaluation."""
    source = str(job.photos.parent / "manifest.csv")
    first = job.rows(job.select(20, source=source))
    held = job.rows(job.select(20, "selection.evaluation=1.0", NO_CAP, source=source))
    assert set(first) & set(held)
    again = job.select(20, source=source)
    assert not again.reused
    assert not set(job.rows(again)) & set(held)


def test_a_spoilt_batch_file_stops_nothing(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    first = job.select(5)
    (first.folder / "batch.json").write_text("{")
    other = job.select(5)
    assert (other.reused, other.batch_id) == (False, "0002")
    assert "0001/batch.json" in caplog.text
    assert not set(job.rows(first)) & set(job.rows(other)), "it is still on its way"


def test_one_source_asked_twice(tmp_path: Path) -> None:
    """One command without a project; evaluation draws included, a rerun is the batch it was."""
    photos = write_photos(tmp_path / "photos", 16)
    settings = [word for word in tiny_backbone(tmp_path) if word != "--set"]
    workspace = create_workspace(tmp_path / "out", [*settings, "selection.evaluation=0.5"])
    first = select_from_source(workspace, str(photos), SelectRequest(6))
    assert select_from_source(workspace, str(photos), SelectRequest(6)).reused
    held = {pick.image_id for pick in first.picks if pick.kind == "evaluation"}
    other = select_from_source(workspace, str(photos), SelectRequest(10))
    assert not held & {pick.image_id for pick in other.picks}
    assert {pick.image_id for pick in first.picks if pick.kind == "strategy"} & {p.image_id for p in other.picks}, (
        "without a project an unlabelled image may be picked again"
    )


# Rounds


def test_rounds_never_pick_an_image_twice(job: Job) -> None:
    """Labelled, half labelled and unlabelled batches, evaluation draws of several rounds: all 40 images once."""
    seen: list[int] = []
    held: list[int] = []
    for number in range(4):
        result = job.select(10, f"seed={number}", "selection.evaluation=0.3", NO_CAP)
        picked = job.rows(result)
        seen += picked
        held += job.rows(result, "evaluation")
        job.label(picked[: [10, 5, 0, 0][number]])
    assert sorted(seen) == list(range(40))
    assert len(held) == 12
    with pytest.raises(DataError, match="nothing left to pick"):
        job.select(1)


def test_evaluation_labels_never_reach_the_head(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out images are labelled wrongly on purpose: nothing about the batches to come may change."""
    first = job.select(12, "selection.evaluation=0.5")
    job.label(job.rows(first, "strategy"))
    twin = shutil.copytree(job.workspace.root, job.workspace.root.parent / "twin")
    job.label(job.rows(first, "evaluation"), ["nonsense"] * 6)
    seen: list[np.ndarray[Any, Any]] = []
    original = choose
    monkeypatch.setattr(select_module, "choose", lambda request: (seen.append(request), original(request))[1])
    poisoned = job.select(8, "selection.strategy=margin")
    clean = replace(job, workspace=replace(job.workspace, root=twin)).select(8, "selection.strategy=margin")
    assert poisoned.picks == clean.picks
    held = {job.ids.index(pick.image_id) for pick in first.picks if pick.kind == "evaluation"}
    request: Any = seen[0]
    catalog_order = sorted(job.ids)
    head = {job.ids.index(catalog_order[row]) for row in request.head_rows}
    assert head == set(job.rows(first, "strategy"))
    assert not held & {job.ids.index(catalog_order[row]) for row in request.labelled}


def test_pending_images_count_as_known(tmp_path: Path) -> None:
    """Twins: what is on its way makes its twin worthless to k-center, though neither has a label."""
    vectors = np.repeat(make_vectors(20), 2, axis=0)
    job = make_job(tmp_path, vectors=vectors)
    picked = job.rows(job.select(10, NO_CAP, "selection.strategy=k-center"))
    more = job.rows(job.select(10, NO_CAP, "selection.strategy=k-center", "seed=1"))
    assert len({row // 2 for row in picked + more}) == 20


def test_pending_images_are_no_labels(job: Job) -> None:
    job.select(10)
    with pytest.raises(UsageError, match="margin needs uncertainty; found 0 labels"):
        job.select(5, "selection.strategy=margin")
    reasons = [pick.reason for pick in job.select(5).picks]
    assert not any("nearest label" in reason for reason in reasons)


# Crashes


def test_killed_between_the_folder_and_the_record(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "add_batch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            job.select(6, "selection.explore=0.5")
    assert job.batch_folders == ["0001"]
    orphan = read_csv(job.workspace.batches_dir / "0001" / "batch.csv")
    (job.workspace.batches_dir / "0001" / "scribble.txt").write_text("not ours")
    again = job.select(6, "selection.explore=0.5")
    assert (again.batch_id, again.reused) == ("0001", False)
    assert read_csv(again.folder / "batch.csv") == orphan
    assert sorted(path.name for path in again.folder.iterdir()) == [
        "batch.csv", "batch.json", "report.html", "report.npz", "stands_for.csv",
    ]  # fmt: skip
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert [batch.batch_id for batch in catalog.batches()] == ["0001"]


def test_drafts_of_killed_runs_are_cleared(job: Job) -> None:
    for name in (".0001.draft", ".0007.draft"):
        (job.workspace.batches_dir / name).mkdir(parents=True)
        (job.workspace.batches_dir / name / "batch.json").write_text("{")
    job.select(5)
    assert job.batch_folders == ["0001"]


@pytest.mark.parametrize("victim", ["batch.json", "batch.csv", "stands_for.csv", "report.npz", "report.html"])
def test_a_full_disk_leaves_no_half_batch(job: Job, monkeypatch: pytest.MonkeyPatch, victim: str) -> None:
    real = os.replace

    def fail_on_victim(source: str, target: Path) -> None:
        if Path(target).name == victim:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_on_victim)
        with pytest.raises(UnreachableError, match="No space left on device"):
            job.select(5)
    assert job.batch_folders == []
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert catalog.batches() == []
    assert job.select(5).batch_id == "0001"


def test_a_folder_that_cannot_be_renamed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Path, _target: Path) -> Path:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(UnreachableError, match="Disk quota exceeded"):
        job.select(5)
    assert job.batch_folders == []


# Determinism


def comparable(folder: Path, photos: Path) -> tuple[list[dict[str, str]], list[dict[str, str]], dict[str, Any]]:
    """What must be equal in two batches: everything but when and where."""
    tables = [read_csv(folder / name) for name in ("batch.csv", "stands_for.csv")]
    for row in (*tables[0], *tables[1]):
        row["path"] = str(Path(row["path"]).relative_to(photos))
    stored = json.loads((folder / "batch.json").read_text())
    for key in ("created", "command", "request_key"):
        del stored[key]
    for pick in stored["picks"]:
        pick["path"] = str(Path(pick["path"]).relative_to(photos))
    return tables[0], tables[1], stored


def test_order_and_place_of_the_files_do_not_matter(tmp_path: Path) -> None:
    shuffled = [int(i) for i in np.random.default_rng(5).permutation(40)]
    here = make_job(tmp_path / "here")
    there = make_job(tmp_path / "a longer name" / "there", order=shuffled)
    there = replace(there, ids_file=here.ids_file, embeddings=here.embeddings)
    results = []
    for job in (here, there):
        job.label(range(8))
        settings = ("selection.explore=0.2", "selection.evaluation=0.2")
        results.append(comparable(job.select(10, *settings, quotas=("class=equal",)).folder, job.photos))
    assert results[0] == results[1]


def test_order_does_not_matter_to_a_backbone(tmp_path: Path) -> None:
    settings = [word for word in tiny_backbone(tmp_path) if word != "--set"]
    tables = []
    for name, order in (("one", range(12)), ("two", range(11, -1, -1))):
        job = make_job(tmp_path / name, 12, order=list(order))
        result = select_batch(replace(job.workspace, config=load_config(None, settings)), SelectRequest(4))
        tables.append(comparable(result.folder, job.photos))
    assert tables[0] == tables[1]


def test_another_seed_other_random_picks(job: Job) -> None:
    first = job.rows(job.select(8, "selection.strategy=random"))
    again = job.rows(
        job.select(8, "selection.strategy=random", "seed=1", source=str(job.photos.parent / "manifest.csv"))
    )
    assert first != again


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


# A plan


def test_a_plan_writes_nothing(job: Job) -> None:
    job.label([0, 1, 2])
    before = snapshot_tree(job.workspace.root)
    workspace = job.open("selection.explore=0.3", "selection.evaluation=0.7")
    plan = plan_batch(workspace, job.request(5))
    assert snapshot_tree(job.workspace.root) == before
    assert (plan["images"], plan["labelled"], plan["candidates"]) == (40, 3, 37)
    assert (plan["explore"], plan["evaluation"]) == (1, 4)
    assert plan["classes"] == {"crack": 1, "fray": 1, "free": 1}


def test_a_plan_makes_no_catalog(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "new")
    before = snapshot_tree(tmp_path)
    assert plan_batch(workspace, SelectRequest(5))["images"] == 0
    assert snapshot_tree(tmp_path) == before


@pytest.mark.parametrize(
    "fields",
    [{"where": ("station=A",)}, {"budget": 0}, {"predictions": Path("nowhere.csv")}, {"quotas": ("x=A:3",)}],
)
def test_a_plan_refuses_what_select_would(job: Job, fields: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        plan_batch(job.workspace, replace(job.request(5), **fields))


def test_a_setting_that_no_file_can_hold(job: Job) -> None:
    with pytest.raises(DataError, match="an option is not a finite number"):
        job.select(5, "selection.strategy=weighted-k-center", "selection.options.trust=.nan")


# The real default


@pytest.mark.slow
def test_the_default_backbone_from_its_package(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 12)
    workspace = create_workspace(tmp_path / "out", [NO_CAP])
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(f"{photos}/photo-{i:02d}.png,{KINDS[i % 4]}\n" for i in range(4)))
    result = select_from_source(workspace, str(photos), SelectRequest(4), labels=labels)
    assert result.n_picks == 4
    assert not {Path(pick.path).name for pick in result.picks} & {f"photo-{i:02d}.png" for i in range(4)}
    assert result.picks[0].predicted in KINDS
    assert read_batch(workspace, result.batch_id).picks == result.picks
    assert select_from_source(workspace, str(photos), SelectRequest(4), labels=labels).reused
