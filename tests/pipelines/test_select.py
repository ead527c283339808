"""Selecting from a workspace: the same request again, rounds, a plan, the real backbone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.config import load_config
from activesel.errors import DataError, UsageError
from activesel.pipelines import graph as graph_module
from activesel.pipelines import select as select_module
from activesel.pipelines import space as space_module
from activesel.pipelines.batch_file import read_batch
from activesel.pipelines.choose import choose
from activesel.pipelines.ingest import ingest
from activesel.pipelines.oneshot import select_from_source
from activesel.pipelines.select import SelectRequest, plan_batch, select_batch
from activesel.workspace import create_workspace
from tests.cli.samples import tiny_backbone, write_photos
from tests.pipelines.workspaces import (
    KINDS,
    Job,
    make_job,
    make_vectors,
    snapshot_tree,
    write_image,
    write_predictions,
)

pytestmark = pytest.mark.usefixtures("plain_pages")

NO_CAP = "duplicates.group_cap=0"


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """Settings of a network that is built in no time."""
    return [word for word in tiny_backbone(tmp_path) if word != "--set"]


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


def test_focus_finds_more_of_a_labelled_class(job: Job) -> None:
    """Image i is of kind i % 4: two pits are known, and others as what is not wanted."""
    job.label([3, 7, 0, 1, 2])
    result = job.select(6, "selection.strategy=focus", NO_CAP, focus="pit")
    assert [KINDS[row % 4] for row in job.rows(result)].count("pit") >= 5
    assert job.select(6, "selection.strategy=focus", NO_CAP, focus="pit").reused
    assert not job.select(6, "selection.strategy=focus", NO_CAP, focus="crack").reused


def test_focus_on_a_class_that_only_exemplars_show(job: Job, tmp_path: Path) -> None:
    (tmp_path / "wanted.txt").write_text(f"{job.ids[3]}\n{job.ids[7]}\n")
    job.label([0, 1, 2])
    chosen = job.select(6, "selection.strategy=focus", NO_CAP, focus="pit", exemplars=tmp_path / "wanted.txt")
    assert [KINDS[row % 4] for row in job.rows(chosen)].count("pit") >= 5


@pytest.mark.parametrize("labelled", [[], [0, 1]])
def test_focus_on_a_class_that_nothing_shows(job: Job, labelled: list[int]) -> None:
    job.label(labelled)
    with pytest.raises(DataError, match=r"--focus pit: no image is labelled so.*show what it looks like: --exemplars"):
        job.select(6, "selection.strategy=focus", focus="pit")
    with pytest.raises(DataError, match="--focus pit"):
        plan_batch(job.workspace, job.request(6, focus="pit"))


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


def test_what_is_kept_between_rounds_changes_no_pick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds with the rows kept on disk, and with everything computed each time."""
    picks = []
    for name, least in (("kept", 10), ("anew", 1000)):
        monkeypatch.setattr(space_module, "LEAST_ROWS", least)
        job = make_job(tmp_path / name)
        rounds = []
        for number in range(3):
            result = job.select(5, "selection.components=6")
            rounds.append([replace(pick, path="") for pick in result.picks])
            job.label(job.rows(result)[: 5 - number])
        picks.append(rounds)
        assert (job.workspace.index_dir / "spaces").exists() == (name == "kept")
    assert picks[0] == picks[1]


def test_a_round_on_unchanged_images_projects_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space_module, "LEAST_ROWS", 10)
    job.label(job.rows(job.select(5, "selection.components=6")))
    monkeypatch.setattr(space_module, "_apply", lambda *_: pytest.fail("projected again"))
    assert not job.select(5, "selection.components=6").reused


def test_new_images_grow_the_graph_instead_of_building_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: list[str]
) -> None:
    """Rows and graph of the first round serve the second: only what came in between is looked at."""
    monkeypatch.setattr(space_module, "LEAST_ROWS", 10)
    monkeypatch.setattr(graph_module, "LEAST_ROWS", 10)
    job = make_job(tmp_path)
    workspace = replace(
        job.workspace, config=load_config(None, [*tiny, "selection.components=4", "selection.neighbours=5"])
    )
    first = select_module.select_batch(workspace, SelectRequest(5))
    ingest(workspace, str(write_image(tmp_path / "more" / "a.png", 777).parent))
    monkeypatch.setattr(graph_module, "knn_graph", lambda *_, **__: pytest.fail("built again"))
    second = select_module.select_batch(workspace, SelectRequest(5))
    assert not {pick.image_id for pick in first.picks} & {pick.image_id for pick in second.picks}


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


def test_a_plan_says_what_it_takes_and_is_refused_where_that_is_too_much(job: Job) -> None:
    plan = plan_batch(job.open(), job.request(5))["plan"]
    assert plan.peak_bytes > 2e8
    assert plan_batch(job.open("selection.memory_limit=64GB"), job.request(5))["plan"].peak_bytes == plan.peak_bytes
    with pytest.raises(UsageError, match=r"needs more memory.*at most 10 MB"):
        plan_batch(job.open("selection.memory_limit=10MB"), job.request(5))
    with pytest.raises(UsageError, match="cannot read an amount of memory"):
        plan_batch(job.open("selection.memory_limit=lots"), job.request(5))


def test_a_memory_limit_does_not_make_another_batch(job: Job) -> None:
    first = select_batch(job.open(), job.request(5))
    again = select_batch(job.open("selection.memory_limit=64GB", "selection.device=cpu"), job.request(5))
    assert again.reused
    assert again.batch_id == first.batch_id


def test_a_plan_makes_no_catalog(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "new")
    before = snapshot_tree(tmp_path)
    empty = plan_batch(workspace, SelectRequest(5))
    assert empty["images"] == 0
    assert "plan" not in empty
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
