"""Events become weak labels, doubts and examples: joined late, never where something measures, taken back."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from activesel.annotations import Annotation, LabelState
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.adjudicate import queue
from activesel.pipelines.batch_file import read_batch
from activesel.pipelines.feedback import FeedbackRun, read_contradictions, run_feedback, table_feedback
from activesel.pipelines.opinions import settle_all
from activesel.records import Event
from tests.pipelines.workspaces import KINDS, Job, make_job, snapshot_tree

SETTINGS = ("embedding.good=free", "feedback.least_confidence=0.85")
NOW = "2026-03-01T00:00:00.000000+00:00"


def event(number: int, kind: str, image: str = "", prediction: str = "", **data: Any) -> Event:
    return Event("/l3", str(number), kind, image, prediction, NOW, NOW, data)


def override(number: int, image: str, verdict: str, **data: Any) -> Event:
    return event(number, "operator.override", image, operator_verdict=verdict, time_to_decide_s=4, **data)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Forty images; 24 labelled; overrides say the truth of 30, by path or id. 38 and 39 are drawn to evaluate."""
    made = make_job(tmp_path)
    made.label(range(24))
    add(made, *(override(i, made.ids[i] if i % 2 else f"photos/{i:03d}.png", KINDS[i % 4]) for i in (*range(30), 38)))
    with Catalog.open(made.workspace.catalog_place) as catalog:
        catalog.batches.add("0001", [made.ids[38], made.ids[39]], ["evaluation", "evaluation"], "2026-01-01")
    return made


def add(job: Job, *events: Event) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.events.add(events)


def run(job: Job, *settings: str, dry_run: bool = False) -> FeedbackRun:
    return run_feedback(job.open(*SETTINGS, *settings), dry_run=dry_run)


def weak_rows(job: Job) -> list[int]:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        found = catalog.annotations.resolutions()
    return sorted(job.ids.index(i) for i, one in found.items() if one.state is LabelState.weak and one.name)


def test_the_table_measures_and_writes_nothing(job: Job) -> None:
    before = snapshot_tree(job.workspace.root)
    found = table_feedback(job.open(*SETTINGS))
    assert snapshot_tree(job.workspace.root) == before
    assert (found.n_events, found.n_joined, found.n_images, found.n_known) == (31, 31, 30, 24)
    rule = found.rules[0]
    assert (rule.summary.name, rule.summary.n_right, rule.summary.n_known) == ("override_considered", 24, 24)
    assert rule.trusted


def test_weak_labels_where_nothing_better_counts(job: Job) -> None:
    done = run(job)
    assert weak_rows(job) == [24, 25, 26, 27, 28, 29]
    assert done.counts == dict(zip(KINDS, (2, 2, 1, 1), strict=True))
    with Catalog.open(job.workspace.catalog_place) as catalog:
        assert catalog.labels()[job.ids[24]].name == "crack"
        assert job.ids[38] not in catalog.labels(), "drawn to evaluate"
    assert run(job).table.n_known == 24, "its own weak labels teach it nothing"


def test_a_dry_run_stores_nothing(job: Job) -> None:
    before = snapshot_tree(job.workspace.root)
    assert run(job, dry_run=True).n_weak == 6
    assert snapshot_tree(job.workspace.root) == before


def test_again_is_the_same_and_what_no_longer_holds_is_taken_back(job: Job) -> None:
    run(job)
    state = snapshot_tree(job.workspace.state / "feedback")
    run(job)
    assert snapshot_tree(job.workspace.state / "feedback") == state
    add(job, event(100, "rework.result", job.ids[24], result="no_fault_found"))
    done = run(job)
    assert done.n_dropped == 1
    assert weak_rows(job) == [25, 26, 27, 28, 29]
    assert [row["image_id"] for row in read_look(job)] == [job.ids[24]], "the line contradicts itself about it"
    done = run(job, "feedback.weak=[]")
    assert (done.n_weak, done.n_dropped) == (0, 5)


def read_look(job: Job) -> list[dict[str, str]]:
    with (job.workspace.state / "feedback" / "look.csv").open(encoding="utf8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_image_may_come_after_its_events_and_by_its_prediction(job: Job) -> None:
    add(job, event(200, "downstream.return", prediction="p7", verdict="pit"))
    assert run(job).table.n_joined == 31
    add(job, event(201, "prediction.made", "photos/035.png", "p7", verdict="free"))
    done = run(job)
    assert (done.table.n_events, done.table.n_joined) == (32, 32)
    assert [row["class"] for row in read_look(job)] == ["pit"]


def test_names_of_the_line(job: Job) -> None:
    add(job, override(300, job.ids[31], "OK"), override(301, job.ids[32], "NOK"))
    assert run(job).table.strangers == {"OK": 1, "NOK": 1}
    done = run(job, 'feedback.names={OK: free, NOK: "?"}')
    assert done.table.strangers == {}
    assert 31 in weak_rows(job)
    assert [(row["image_id"], row["class"]) for row in read_look(job)] == [(job.ids[32], "?")]
    unnamed = (job.workspace.state / "feedback" / "examples" / "unnamed.txt").read_text().split()
    assert unnamed == [job.ids[32]]


def test_a_label_that_the_line_contradicts_waits_for_an_expert(job: Job) -> None:
    row = 30
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.batches.add("0002", [job.ids[row]], ["train"], "2026-01-02")
    job.select(3)  # a batch with a file, whose images people label
    batch = job.batch_folders[-1]

    image_id = read_batch(job.workspace, batch).picks[0].image_id
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.add([Annotation(image_id, "ann", name="free")],
                                lambda opinions, present: settle_all(opinions, present, good="free"))  # fmt: skip
    add(job, event(400, "downstream.return", image_id, verdict="crack"))
    assert run(job).n_doubted == 1
    assert read_contradictions(job.workspace)[image_id][0] == "free"
    (item,) = queue(job.open(*SETTINGS, "quality.posterior=0"), batch)
    assert (item.image_id, item.code) == (image_id, "feedback")
    assert item.reasons == ("downstream return (2026-03-01) says crack",)
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.add([Annotation(image_id, "ann", name="crack", created="2027-01-01")],
                                lambda opinions, present: settle_all(opinions, present, good="free"))  # fmt: skip
    assert queue(job.open(*SETTINGS, "quality.posterior=0"), batch) == [], "it is labelled otherwise by now"


def test_examples_lead_the_next_selection(job: Job) -> None:
    add(job, *(event(500 + i, "downstream.return", job.ids[i], verdict="pit") for i in (31, 35)))
    done = run(job)
    assert done.examples["pit"] >= 2
    examples = job.workspace.state / "feedback" / "examples" / "pit.txt"
    result = job.select(3, "selection.strategy=focus", focus="pit", exemplars=examples)
    assert {31, 35} & set(job.rows(result)), "what came back is looked at first"


def test_settings_name_rules_that_exist(job: Job) -> None:
    with pytest.raises(DataError, match=r"feedback\.weak: no such rule"):
        run(job, "feedback.weak=[hunch]")


def test_two_classes_are_needed(tmp_path: Path) -> None:
    empty = make_job(tmp_path, 4)
    with pytest.raises(DataError, match="two classes"):
        table_feedback(empty.workspace)
