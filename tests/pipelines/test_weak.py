"""Weak labels: only where nothing better counts, never where something measures, replaced by the next run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.annotations import LabelState, Resolution, Role
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.embed import open_store
from activesel.pipelines.gather import read_catalog
from activesel.pipelines.weak import WeakRequest, WeakRun, run_rules, table_rules
from tests.pipelines.workspaces import KINDS, Job, make_job, snapshot_tree, write_predictions

PLAIN = ("embedding.pooling=plain", "duplicates.similarity=0.9999")
RULES = """
from activesel.weak import ABSTAIN, labelling_function

@labelling_function
def by_sensor(item):
    return item.meta.get("sensor", ABSTAIN)

@labelling_function
def by_file(item):
    return "pit" if item.path.stem.endswith("3") else ABSTAIN

@labelling_function
def by_model(item):
    return max(item.predictions, key=item.predictions.get) if item.predictions else ABSTAIN
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Forty images, ten labelled, a sensor that reads right nine times in ten; 38 and 39 drawn to evaluate."""
    sensors = [KINDS[i % 4] if i % 10 else "" for i in range(40)]
    made = make_job(tmp_path, meta={"sensor": sensors})
    made.label(range(10))
    (tmp_path / "rules.py").write_text(RULES, encoding="utf8")
    with Catalog.open(made.workspace.catalog_place) as catalog:
        catalog.batches.add("0001", [made.ids[38], made.ids[39]], ["evaluation", "evaluation"], "2026-01-01")
    return made


def rules(job: Job) -> Path:
    return job.workspace.root.parent / "rules.py"


def run(job: Job, *settings: str, **request: object) -> WeakRun:
    return run_rules(job.open(*PLAIN, *settings), WeakRequest(rules(job), **request))  # type: ignore[arg-type]


def weak_ids(job: Job) -> set[str]:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        found = catalog.annotations.resolutions()
    return {image_id for image_id, one in found.items() if one.state is LabelState.weak}


def test_the_table(job: Job) -> None:
    before = snapshot_tree(job.workspace.root)
    found = table_rules(job.workspace, WeakRequest(rules(job)))
    assert snapshot_tree(job.workspace.root) == before
    assert (found.n_images, found.n_known) == (38, 10)
    sensor = found.rules[0]
    assert (sensor.n_right, sensor.n_known) == (9, 9)
    assert found.rules[2].coverage == 0


def test_weak_labels_where_nothing_better_counts(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(job.ids[11], "fray", LabelState.adjudicated, 1.0, "eve"),
                                     Resolution(job.ids[12], "free", LabelState.rejected),
                                     Resolution(job.ids[13], "pit", LabelState.weak, 0.9, "head-1")])  # fmt: skip
    done = run(job, "weak.least_confidence=0.6")
    with Catalog.open(job.workspace.catalog_place) as catalog:
        found, said = catalog.annotations.resolutions(), catalog.annotations.read()
    ours = {image_id for image_id, one in found.items() if one.by == "weak rules"}
    assert done.n_weak == len(ours) > 15
    assert not ours & set(job.ids[:14]), "neither people's labels nor what others decided"
    assert all(found[one].name == job.kind_of(one) for one in ours if one != job.ids[20])
    assert {one.role for one in said} == {Role.rule}
    assert done.accuracy is not None
    assert done.n_checked >= 9
    text = (job.workspace.state / "weak" / "labels.csv").read_text()
    assert text.startswith("image_id,path,p_crack,p_fray,p_free,p_pit\n")


def test_never_where_something_measures(job: Job) -> None:
    run(job, "weak.least_confidence=0.3")
    assert not weak_ids(job) & set(job.ids[38:])
    open_store(job.open(*PLAIN)).append(list(job.ids), job.vectors.astype(np.float16))
    built = build_dataset(job.open(*PLAIN, "dataset.test=0.3", "dataset.validation=0.3"), BuildRequest())
    entries = read_dataset(job.workspace, built.version).entries
    assert {one.split for one in entries if one.example.state == "weak"} == {"train"}


def test_a_weak_label_on_an_evaluation_image_is_no_answer(job: Job) -> None:
    """Whoever put it there: selection neither counts it as an answer nor measures by it."""
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(job.ids[38], "free", LabelState.weak, 0.9, "somebody")])
    job.label([39])
    assert read_catalog(job.workspace, None).answered == (job.ids[39],)


def test_a_second_run_changes_nothing_and_other_rules_take_back(job: Job) -> None:
    first = run(job, "weak.least_confidence=0.6")
    with Catalog.open(job.workspace.catalog_place) as catalog:
        before = catalog.annotations.resolutions(), catalog.annotations.read(), catalog.labels()
    again = run(job, "weak.least_confidence=0.6")
    with Catalog.open(job.workspace.catalog_place) as catalog:
        assert (catalog.annotations.resolutions(), catalog.annotations.read(), catalog.labels()) == before
    assert (again.n_weak, again.n_dropped) == (first.n_weak, 0)
    rules(job).write_text(RULES.replace('item.meta.get("sensor", ABSTAIN)', "ABSTAIN"))
    last = run(job, "weak.least_confidence=0.6")
    assert last.n_dropped > 10
    with Catalog.open(job.workspace.catalog_place) as catalog:
        assert set(catalog.labels()) == set(job.ids[:10]) | weak_ids(job)


def test_a_dry_run_stores_nothing(job: Job) -> None:
    before = snapshot_tree(job.workspace.root)
    assert run(job, "weak.least_confidence=0.5", dry_run=True).n_weak > 0
    assert snapshot_tree(job.workspace.root) == before


def test_rules_may_read_predictions(job: Job, tmp_path: Path) -> None:
    probs = np.full((40, 4), 0.05)
    probs[np.arange(40), np.arange(40) % 4] = 0.85
    path = write_predictions(job, tmp_path / "p.parquet", classes=KINDS, probs=probs.tolist())
    found = run(job, predictions=path, dry_run=True)
    assert found.table.rules[2].coverage == 1


def test_classes_are_needed(tmp_path: Path) -> None:
    job = make_job(tmp_path, 4, meta={"sensor": list(KINDS)})
    (tmp_path / "rules.py").write_text(RULES, encoding="utf8")
    with pytest.raises(DataError, match="--classes"):
        run(job)
    assert run(job, "weak.least_confidence=0.5", classes=KINDS).table.classes == KINDS
