"""Pre-labels: stored once, beside people's; accepted only where proved; never on what measures something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.annotations import Annotation, LabelState, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.anchoring import read_anchoring
from activesel.pipelines.prelabel import Prelabelled, PrelabelRequest, prelabel
from tests.pipelines.workspaces import KINDS, PLAIN, Job, snapshot_tree, write_predictions

EASY = ("prelabel.accept_precision=0.6", "prelabel.accept_escapes=0.5", "prelabel.confidence=0.6")


@pytest.fixture
def job(clusters: Job) -> Job:
    """The first sixty labelled; batch 0001 of 60..67."""
    clusters.label(range(60))
    with Catalog.open(clusters.workspace.catalog_place) as catalog:
        kinds = ["evaluation", *["train"] * 7]
        catalog.batches.add("0001", list(clusters.ids[60:68]), kinds, "2026-01-01")
    return clusters


def run(job: Job, *settings: str, **request: object) -> Prelabelled:
    return prelabel(job.open(*PLAIN, *settings), PrelabelRequest(**request))  # type: ignore[arg-type]


def test_a_batch_is_stored_once(job: Job) -> None:
    first, again = run(job), run(job)
    assert (first.n_images, first.n_new, again.n_new) == (8, 8, 0)
    assert first.ece is not None
    assert first.ece < 0.2
    with Catalog.open(job.workspace.catalog_place) as catalog:
        said = catalog.annotations.read()
        assert catalog.annotations.resolutions() == {}
    assert {one.image_id for one in said} == set(job.ids[60:68])
    assert all(one.role is Role.model and one.score is not None and 0.5 < one.score <= 1 for one in said)
    assert all(one.name == job.kind_of(one.image_id) for one in said)


def test_another_label_is_another_model(job: Job) -> None:
    first = run(job)
    job.label([70])
    assert run(job).model != first.model


def test_a_dry_run_stores_nothing(job: Job) -> None:
    run(job, dry_run=True)  # opens what there is
    before = snapshot_tree(job.workspace.root)
    assert run(job, "prelabel.confidence=0.9", dry_run=True, auto_accept=True).n_images == 8
    assert snapshot_tree(job.workspace.root) == before


def test_nothing_is_accepted_unless_asked_for_and_proved(job: Job) -> None:
    assert run(job, *EASY).n_accepted == 0
    unproved = run(job, auto_accept=True)
    assert unproved.n_accepted == 0
    assert unproved.notes == ("nothing is accepted: no threshold is proved for any class",)
    assert all(one.value is None for one in unproved.thresholds.values())


def test_accepted_ones_are_weak_and_what_measures_is_left_to_people(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.assign("0001", [
            Task("0001", job.ids[61], overlap=True), Task("0001", job.ids[62], gold=True),
            Task("0001", job.ids[63], prelabel="hidden"),
        ])  # fmt: skip
    done = run(job, *EASY, auto_accept=True)
    with Catalog.open(job.workspace.catalog_place) as catalog:
        found = catalog.annotations.resolutions()
    assert done.n_accepted == len(found) > 0
    assert set(found) <= set(job.ids[64:68]), "neither the evaluation image nor overlap, gold or hidden ones"
    assert {one.state for one in found.values()} == {LabelState.weak}
    with Catalog.open(job.workspace.catalog_place) as catalog:
        n_people = len(catalog.labels()) - len(found)
    assert n_people == 60
    assert run(job).model == done.model, "weak labels teach the next head nothing"


def test_the_pool_is_all_that_has_no_label(job: Job) -> None:
    assert run(job, pool=True).n_images == 20
    job.label(range(80))
    with pytest.raises(DataError, match="every image has a label"):
        run(job, pool=True)


def test_predictions_of_another_model(job: Job, tmp_path: Path) -> None:
    probs = np.full((80, 4), 0.1)
    probs[np.arange(80), np.arange(80) % 4] = 0.7
    path = write_predictions(job, tmp_path / "p.parquet", classes=KINDS, probs=probs.tolist())
    done = run(job, predictions=path)
    assert (done.n_images, done.ece) == (8, None)
    assert done.notes == ("calibration is not known: no evaluation image has a label",)
    job.label([60])
    assert run(job, predictions=path).n_held_out == 1


def test_predictions_without_the_batch(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"image_id,p_crack,p_fray\n{job.ids[0]},0.5,0.5\n")
    with pytest.raises(DataError, match="8 of 8 images have no row"):
        run(job, predictions=path)


def test_anchoring_of_what_people_saw(job: Job) -> None:
    run(job)
    true, wrong = job.kind_of(job.ids[60]), "pit"
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.assign("0001", [Task("0001", job.ids[61], prelabel="hidden")])
        catalog.annotations.add([
            Annotation(job.ids[60], "ann", name=true, prelabel="shown", lead_time_s=2.0),
            Annotation(job.ids[61], "ann", name="odd", lead_time_s=4.0),  # as its task says: hidden
            Annotation(job.ids[62], "ann", name=wrong),  # nobody says what they saw
            Annotation(job.ids[63], "bob", skipped="blurred", prelabel="shown"),
            Annotation(job.ids[0], "bob", name=wrong, prelabel="shown"),  # has no pre-label
        ])  # fmt: skip
    found = read_anchoring(job.workspace)
    assert (found.shown.n, found.shown.n_same, found.hidden.n, found.hidden.n_same) == (1, 1, 1, 0)
    assert found.time_ratio == 0.5
