"""Experts: blind first, then the others' answers; what they say counts, and everything that was said stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.annotations import Annotation, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog
from tests.web.jobs import BATCH, Job, make_job, serve


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Two people differ about image 0, agree about 1, one of them skipped 2, nobody has seen 3."""
    made = make_job(tmp_path)
    made.assign(*(Task(BATCH, one, n_wanted=2) for one in made.ids))
    with serve(made, "anna", "ben") as (anna, ben):
        for row, first, second in ((0, "crack", "good"), (1, "good", "good"), (2, "pit", None)):
            anna.say(made.ids[row], first)
            ben.say(made.ids[row], second, skipped="" if second else "cannot tell")
    return made


def resolutions(job: Job) -> dict[str, Resolution]:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        return catalog.annotations.resolutions()


def test_blind_first_then_the_answers(job: Job) -> None:
    before = job.opinions()
    with serve(job, "lee", adjudicate=True) as (lee,):
        blind = lee.next()
        assert (blind["image"]["id"], blind["phase"], blind["done"], blind["total"]) == (job.ids[0], "blind", 0, 2)
        assert blind["others"] == []
        assert lee.say(job.ids[0], "good").status_code == 409, "the last word first is no word"
        shown = lee.say(job.ids[0], "crack", phase="blind").json()
        assert (shown["image"]["id"], shown["phase"], shown["earlier"]["name"]) == (job.ids[0], "final", "crack")
        assert [one["name"] for one in shown["others"]] == ["crack", "good"]
        assert [one["who"] for one in shown["others"]] == ["annotator 1", "annotator 2"]
        assert "anna" not in str(shown), "whose answer it is must not sway"
        assert resolutions(job)[job.ids[0]].name is None, "nothing counts yet"
        assert lee.say(job.ids[0], "pit", phase="blind", revises=True).status_code == 409, "seen is seen"
        after = lee.say(job.ids[0], "good").json()
        assert after["image"]["id"] == job.ids[2]
        lee.say(job.ids[2], skipped="not decidable", phase="blind")
        assert lee.say(job.ids[2], skipped="not decidable").json()["image"] is None
    told = job.opinions()
    assert told[: len(before)] == before, "what others said stays as it was"
    mine = [(one.image_id, one.name, one.skipped, one.role) for one in told[len(before) :]]
    assert mine == [(job.ids[0], "crack", "", Role.expert), (job.ids[0], "good", "", Role.expert),
                    (job.ids[2], None, "not decidable", Role.expert),
                    (job.ids[2], None, "not decidable", Role.expert)]  # fmt: skip
    found = resolutions(job)
    assert (found[job.ids[0]].name, found[job.ids[0]].state) == ("good", LabelState.adjudicated)
    assert (found[job.ids[0]].by, found[job.ids[2]].state) == ("lee", LabelState.rejected)
    assert job.labels() == {job.ids[0]: "good", job.ids[1]: "good"}


def test_a_restart_between_the_two_verdicts(job: Job) -> None:
    with serve(job, "lee", adjudicate=True) as (lee,):
        lee.say(job.ids[2], "pit", phase="blind")
    with serve(job, "lee", adjudicate=True) as (lee,):
        told = lee.next()
        assert (told["image"]["id"], told["phase"], told["earlier"]["name"]) == (job.ids[2], "final", "pit")


def test_an_expert_corrects_their_last_word(job: Job) -> None:
    with serve(job, "lee", adjudicate=True) as (lee,):
        lee.say(job.ids[0], "crack", phase="blind")
        lee.say(job.ids[0], "crack")
        assert lee.post("/api/open", {"image_id": job.ids[0]}).json()["phase"] == "final"
        lee.say(job.ids[0], "pit", revises=True)
    assert resolutions(job)[job.ids[0]].name == "pit"


def test_two_experts_do_not_get_the_same_image(job: Job) -> None:
    with serve(job, "lee", "kim", adjudicate=True) as (lee, kim):
        assert lee.next()["image"]["id"] == job.ids[0]
        assert kim.next()["image"]["id"] == job.ids[2]
        lee.say(job.ids[0], "crack", phase="blind")
        lee.say(job.ids[0], "crack")
        assert kim.next()["total"] == 1


def test_what_is_meant_for_experts_needs_no_second_look(job: Job) -> None:
    job.assign(Task(BATCH, job.ids[3], route="expert"))
    with serve(job, "lee", adjudicate=True) as (lee,):
        told = lee.next()
        assert (told["image"]["id"], told["phase"], told["total"]) == (job.ids[3], "final", 1)
        lee.say(job.ids[3], "good")
    assert resolutions(job)[job.ids[3]].state is LabelState.adjudicated


def test_an_annotators_later_answer_does_not_undo_an_experts(job: Job) -> None:
    with serve(job, "lee", adjudicate=True) as (lee,):
        lee.say(job.ids[0], "pit", phase="blind")
        lee.say(job.ids[0], "pit")
    with serve(job, "anna") as (anna,):
        anna.post("/api/open", {"image_id": job.ids[0]})
        anna.say(job.ids[0], "good", revises=True)
    assert resolutions(job)[job.ids[0]] == Resolution(job.ids[0], "pit", LabelState.adjudicated, by="lee")


def test_a_known_answer_is_not_overruled_by_those_measured_with_it(job: Job) -> None:
    job.add(Annotation(job.ids[3], "gold", Role.gold, "crack"))
    with serve(job, "anna") as (anna,):
        anna.say(job.ids[3], "good")
    assert job.ids[3] not in resolutions(job)


def test_a_missed_known_answer_waits_too(job: Job) -> None:
    """Which images wait is the queue's decision, not only whether people differ."""
    job.assign(Task(BATCH, job.ids[3], gold=True))
    job.add(Annotation(job.ids[3], "gold", Role.gold, "crack"))
    with serve(job, "anna") as (anna,):
        anna.say(job.ids[3], "good")
    with serve(job, "lee", adjudicate=True) as (lee,):
        assert (lee.next()["image"]["id"], lee.next()["total"]) == (job.ids[3], 1)
        lee.say(job.ids[3], "good", phase="blind")
        lee.say(job.ids[3], "good")
        assert lee.next()["image"] is None
    assert resolutions(job)[job.ids[3]].name == "good", "the known answer was wrong"


def test_what_was_decided_elsewhere_does_not_wait(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(job.ids[0], "pit", LabelState.adjudicated, by="kim")])
    with serve(job, "lee", adjudicate=True) as (lee,):
        assert lee.next()["image"]["id"] == job.ids[2]
