"""What people said in Label Studio: each opinion once, and no more once it is deleted there."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.annotations import LabelState, Resolution
from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.pipelines.opinions import Unsaid
from tests.pipelines.tool_plant import Killed, Plant, answer_all, import_export


def test_what_people_said_comes_back_once(plant: Plant) -> None:
    plant.push()
    server = plant.server
    server.annotate(0, by=1, name="good")
    server.annotate(0, by=2, name="pit")
    server.annotate(2, by=1, name="pit")
    server.annotate(3, by=2, was_cancelled=True, lead_time=None)
    done = plant.pull()
    assert (done.n_new, done.n_changed, done.n_known, done.n_skipped) == (4, 0, 0, 1)
    assert done.n_by_annotator == {"ann@x.example": 2, "bob@x.example": 2}
    said = plant.opinions()
    assert [(one.image_id, one.annotator, one.name, one.prelabel, one.skipped, one.lead_time_s) for one in said] == [
        (plant.ids[0], "ann@x.example", "good", "shown", "", 2.5),
        (plant.ids[0], "bob@x.example", "pit", "shown", "", 2.5),
        (plant.ids[2], "ann@x.example", "pit", "hidden", "", 2.5),
        (plant.ids[3], "bob@x.example", None, "shown", "skipped", None),
    ]
    assert {key: (one.name, one.state) for key, one in plant.resolutions().items()} == {
        plant.ids[0]: (None, LabelState.raw),
        plant.ids[2]: ("pit", LabelState.raw),
        plant.ids[3]: (None, LabelState.raw),
    }
    assert (plant.pull().n_new, plant.opinions()) == (0, said)


def test_a_pull_asks_for_what_changed_since(plant: Plant) -> None:
    plant.push()
    for number in range(5):
        plant.server.annotate(number, by=1, name="good")
    plant.server.later(hours=1)
    plant.server.annotate(4, by=2, name="good")
    assert plant.pull().n_new == 6
    plant.server.annotate(5, by=1, name="pit")
    done = plant.pull()
    assert (done.n_tasks_changed, done.n_new, done.n_known) == (2, 1, 2), "and what changed in the minute before"
    assert plant.pull(afresh=True).n_known == 7
    assert len(plant.opinions()) == 7


def test_an_answer_that_was_mended_there_is_mended_here(plant: Plant) -> None:
    plant.push()
    made = plant.server.annotate(0, by=1, name="good")
    plant.pull()
    made["result"][0]["value"]["choices"] = ["pit"]
    done = plant.pull(afresh=True)
    assert (done.n_new, done.n_changed) == (0, 1)
    assert [one.name for one in plant.opinions()] == ["pit"]
    assert plant.resolutions()[plant.ids[0]].name == "pit"


def test_a_pull_killed_before_it_notes_how_far_it_came(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("activesel.pipelines.tool_projects.write_json", kill)
        with pytest.raises(Killed):
            plant.pull()
    assert plant.pull().n_known == 1
    assert len(plant.opinions()) == 1


def test_what_we_cannot_hold_is_refused_whole(plant: Plant) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    plant.server.annotate(1, by=1, result=[{"type": "ellipselabels", "value": {}}])
    with pytest.raises(
        DataError, match=r"studio\.example, task 2\.annotations\[0\], item 1: a shape that we cannot hold"
    ):
        plant.pull()
    assert plant.opinions() == []


def test_a_dry_pull_keeps_nothing(plant: Plant) -> None:
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    assert plant.pull(dry_run=True).n_new == 1
    assert plant.opinions() == []
    assert plant.pull().n_new == 1


def test_tasks_of_others_are_counted_and_left(plant: Plant) -> None:
    plant.push()
    others = [{"image": "/x.png"}, {"activesel_id": "f" * 32}, {"activesel_id": 7}]
    plant.server.tasks += [{**plant.server.tasks[0], "id": 50 + i, "data": data} for i, data in enumerate(others)]
    assert plant.pull().n_foreign == 3
    assert plant.push().n_doubles_removed == 0


def test_what_an_expert_decided_is_left_alone(plant: Plant) -> None:
    plant.push()
    decided = Resolution(plant.ids[0], "pit", LabelState.adjudicated, by="eve")
    with Catalog.open(plant.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([decided])
    plant.server.annotate(0, by=1, name="good")
    plant.pull()
    assert plant.resolutions() == {plant.ids[0]: decided}


def test_a_project_that_is_gone(plant: Plant) -> None:
    plant.push()
    plant.server.projects.clear()
    plant.server.tasks.clear()
    with pytest.raises(DataError, match=r"project 'line-4 0001' is gone; push it again"):
        plant.pull()
    assert plant.push().n_new == 6


def test_nothing_was_pushed(plant: Plant) -> None:
    with pytest.raises(UsageError, match="nothing was pushed"):
        plant.pull()


@pytest.mark.parametrize("first", ["pull", "import"])
def test_a_pull_and_a_file_spell_alike(plant: Plant, tmp_path: Path, first: str) -> None:
    plant.push()
    answer_all(plant)
    ways = [lambda: plant.pull(afresh=True), lambda: import_export(plant, tmp_path)]
    done = (ways if first == "pull" else ways[::-1])[0]()
    assert done.n_new == 6
    said, counting = plant.opinions(), plant.resolutions()
    assert {one.annotator for one in said} == {"ann@x.example", "bob@x.example", "user-7"}
    assert {one.skipped for one in said} == {"", "skipped", "too dark"}
    assert [one.prelabel for one in said] == ["shown", "shown", "hidden", "shown", "shown", "shown"]
    assert {one.created[:10] for one in said} == {"2026-11-26"}
    for way in [*ways, *ways[::-1]]:
        again = way()
        assert (again.n_new, again.n_changed, again.n_known) == (0, 0, 6)
    assert (plant.opinions(), plant.resolutions()) == (said, counting)


def test_a_guideline_that_only_the_file_says_stays(plant: Plant, tmp_path: Path) -> None:
    plant.push()
    answer_all(plant)
    import_export(plant, tmp_path, unsaid=Unsaid(guideline="2"))
    assert plant.pull(dry_run=True).n_changed == 0
    assert plant.pull().n_changed == 0
    assert {one.guideline for one in plant.opinions()} == {"2"}


def test_whose_number_it_is_is_not_guessed(plant: Plant, tmp_path: Path) -> None:
    """A file of a project that we did not push knows people by numbers of its own."""
    plant.push()
    plant.server.annotate(0, by=1, name="good")
    for task in plant.server.tasks:
        task["project"] = 99
    import_export(plant, tmp_path)
    assert [one.annotator for one in plant.opinions()] == ["user-1"]
