"""Wrong labels are listed first; evaluation and weak labels are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.annotations import LabelState, Resolution
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.label_errors import find_doubts
from tests.pipelines.workspaces import PLAIN, Job, make_job


@pytest.fixture
def job(clusters: Job) -> Job:
    clusters.label(range(80))
    return clusters


def test_wrong_labels_come_first(job: Job) -> None:
    job.label([3, 8], ["crack", "fray"], source="wrong")
    found = find_doubts(job.open(*PLAIN), 10)
    assert {one.image_id for one in found.suspects} == {job.ids[3], job.ids[8]}
    assert {(one.label, one.suggested) for one in found.suspects} == {("crack", "pit"), ("fray", "crack")}
    assert [one.rank for one in found.suspects] == [1, 2]
    assert len(find_doubts(job.open(*PLAIN), 1).suspects) == 1


def test_evaluation_and_weak_labels_are_left_alone(job: Job) -> None:
    job.label([3], ["crack"], source="wrong")
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.batches.add("0001", [job.ids[3]], ["evaluation"], "2026-01-01")
        catalog.annotations.resolve([Resolution(job.ids[8], "fray", LabelState.weak, 0.9, "rules")])
    found = find_doubts(job.open(*PLAIN), 10)
    assert found.n_labels == 78
    assert found.suspects == ()


def test_older_labels_that_may_be_of_a_new_class_are_listed_likeliest_first(job: Job) -> None:
    job.label([3, 7], ["crack", "fray"], source="wrong")
    found = find_doubts(job.open(*PLAIN), 5, "pit")
    assert {one.image_id for one in found.suspects[:2]} == {job.ids[3], job.ids[7]}
    assert {one.suggested for one in found.suspects} == {"pit"}
    assert "pit" not in {one.label for one in found.suspects}
    assert len(found.suspects) == 5
    with pytest.raises(DataError, match="no image is labelled so"):
        find_doubts(job.open(*PLAIN), 5, "scratch")


def test_two_classes_are_needed(tmp_path: Path) -> None:
    job = make_job(tmp_path, 4)
    job.label([0, 1], ["pit", "pit"])
    with pytest.raises(DataError, match="labels of two classes"):
        find_doubts(job.open(*PLAIN), 10)
