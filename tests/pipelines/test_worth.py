"""What a batch is expected to bring, in a selection: told where there are labels, and never in its way."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from activesel.pipelines import worth as worth_module
from activesel.pipelines.batch_file import read_batch
from activesel.pipelines.report import write_batch_report
from activesel.training.worth import Point, Worth
from tests.pipelines.workspaces import Job, make_job

pytestmark = pytest.mark.usefixtures("plain_pages")

DOCS = Path(__file__).resolve().parents[2] / "docs" / "formats_output.md"


def test_a_batch_tells_what_it_brings(job: Job) -> None:
    job.label(range(24))
    result = job.select(6, "selection.evaluation=0.34")
    assert result.worth is not None
    assert (result.worth.n_labels, result.worth.n_classes) == (24, 4)
    assert result.worth.budget == 4, "evaluation images never train"
    assert result.worth_text.startswith("the next 4 labels are expected to raise macro-F1 by ")
    stored = read_batch(job.workspace, result.batch_id)
    assert (stored.worth, stored.worth_text) == (result.worth, result.worth_text)
    assert job.select(6, "selection.evaluation=0.34").worth == result.worth, "the same request is the same batch"


def test_every_field_is_documented() -> None:
    page = DOCS.read_text(encoding="utf8").partition("`worth`:")[2]
    assert [one.name for part in (Worth, Point) for one in fields(part) if f"`{one.name}`" not in page] == []


def test_the_threshold_is_a_setting(job: Job) -> None:
    job.label(range(24))
    worth = job.select(4, "stopping.least_gain=0.9").worth
    assert worth is not None
    assert (worth.least_gain, worth.enough_at) == (0.9, 24)


def test_without_labels_there_is_nothing_to_say(job: Job) -> None:
    result = job.select(4)
    assert (result.worth, result.worth_text) == (None, "")


def test_few_labels_are_said(job: Job) -> None:
    job.label(range(8))
    result = job.select(4)
    assert result.worth is None
    assert result.worth_text.startswith("no estimate of what more labels bring: too few labels")
    assert "8 labels" in result.worth_text


def test_labels_of_one_class_are_said(job: Job) -> None:
    job.label(range(24), ["free"] * 24)
    assert "1 classes with two or more" in job.select(4).worth_text


@pytest.mark.parametrize("error", [FloatingPointError("overflow"), ValueError("no convergence")])
def test_a_failed_fit_stops_nothing_and_changes_no_pick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    plain, broken = make_job(tmp_path / "a"), make_job(tmp_path / "b")
    for one in (plain, broken):
        one.label(range(24))
    expected = plain.rows(plain.select(6))

    def fail(*_: object, **__: object) -> Worth:
        raise error

    monkeypatch.setattr(worth_module, "estimate_worth", fail)
    result = broken.select(6)
    assert broken.rows(result) == expected
    assert (result.worth, result.worth_text) == (None, "no estimate of what more labels bring: the fit failed")


def test_evaluation_labels_tell_the_score(tmp_path: Path) -> None:
    job = make_job(tmp_path, 140)
    first = job.select(90, "selection.evaluation=0.7", "duplicates.group_cap=0")
    job.label_ids([pick.image_id for pick in first.picks])
    worth = job.select(5, "duplicates.group_cap=0").worth
    assert worth is not None
    assert (worth.told_by, worth.n_labels) == ("evaluation labels", 27)


def test_a_batch_from_before_is_read(job: Job) -> None:
    job.label(range(24))
    result = job.select(4)
    path = result.folder / "batch.json"
    stored = json.loads(path.read_text(encoding="utf8"))
    path.write_text(json.dumps({name: value for name, value in stored.items() if "worth" not in name}))
    assert read_batch(job.workspace, result.batch_id).worth is None
    assert write_batch_report(job.workspace, result.batch_id).is_file()
