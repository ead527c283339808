"""A whole round on photographs made in code, with people who answer as they are asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from activesel.cli import run
from activesel.rounds.record import Round, StepState, find_round
from activesel.simulation.labelling import answer
from activesel.simulation.people import Crowd, PersonProfile, Profile
from activesel.workspace import Workspace, find_workspace
from tests.cli.samples import KINDS, tiny_backbone, write_labels, write_photos

N_PHOTOS, N_FIRST, BUDGET = 60, 12, 16
GO_ON = ("--set", "rounds.inconclusive=go on")


@dataclass
class Line:
    """A workspace with photographs, of which the first few are labelled; and its people."""

    root: Path
    flags: list[str]
    truth: dict[str, str]
    mistakes: float = 0.0

    @property
    def workspace(self) -> Workspace:
        return find_workspace(self.root, self.flags[1::2])

    @property
    def crowd(self) -> Crowd:
        people = [PersonProfile(name=name, accuracy=1 - self.mistakes) for name in ("anna", "ben")]
        eve = PersonProfile(name="eve", role="expert", accuracy=1.0)
        return Crowd(Profile(hard=0, people=(*people, eve)), KINDS, self.truth, 0)

    @property
    def last(self) -> Round:
        return find_round(self.workspace, None)

    def run(self, *words: str) -> int:
        return run(["round", *words, "-w", str(self.root), *self.flags])

    def answer(self) -> None:
        answer(self.workspace, self.last, self.crowd)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    photos = write_photos(tmp_path / "photos", N_PHOTOS)
    labels = write_labels(tmp_path / "labels.csv", photos, N_FIRST)
    flags = tiny_backbone(tmp_path)
    root = tmp_path / "line"
    assert run(["init", str(root)]) == 0
    assert run(["ingest", str(photos), "--labels", str(labels), "-w", str(root), *flags]) == 0
    found = Line(root, flags, {})
    from activesel.catalog import Catalog

    with Catalog.open(found.workspace.catalog_place) as catalog:
        found.truth = {row.image_id: KINDS[int(Path(row.path).stem[-2:]) % 4] for row in catalog.images()}
    return found


def states(current: Round) -> dict[str, StepState]:
    return {one.name: one.state for one in current.steps}


def finish(line: Line, *words: str, most: int = 6) -> list[int]:
    """Run and answer until the round is over; return the exit codes."""
    codes = []
    for _ in range(most):
        codes.append(line.run("run", *words))
        if codes[-1] != 8:
            break
        line.answer()
    return codes


def test_a_round_waits_for_people_and_goes_on(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert line.run("run", "--budget", str(BUDGET), *GO_ON) == 8
    told = capsys.readouterr()
    assert "batch 0001: people have not labelled this batch yet; found 0 of" in told.err
    assert "activesel review 0001" in told.err
    assert states(line.last)["label"] is StepState.waiting
    line.answer()
    codes = finish(line, *GO_ON)
    assert codes[-1] == 0, codes
    assert line.last.is_finished
    assert line.last.result("train")["model"]


def test_a_finished_round_is_followed_by_the_next(line: Line) -> None:
    finish(line, "--budget", str(BUDGET), *GO_ON)
    before = line.last
    assert line.run("resume", *GO_ON) == 0
    assert line.last == before, "nothing is left to resume"
    assert line.run("run", "--budget", str(BUDGET), *GO_ON) == 8
    assert (line.last.number, line.last.result("select")["batch"]) == (2, "0002")


def test_another_budget_in_the_middle_is_refused(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.run("run", "--budget", str(BUDGET))
    assert line.run("run", "--budget", "5") == 2
    assert "round 1 is not finished; found 5; expected 16" in capsys.readouterr().err
    assert len(list((line.root / ".activesel" / "rounds").glob("0*"))) == 1


def test_bad_labels_stop_the_round_until_somebody_accepts_them(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.mistakes = 0.6
    line.run("run", "--budget", "40", "--set", "quality.overlap=1")
    line.answer()
    assert line.run("resume") == 4
    assert "the labels do not pass" in capsys.readouterr().err
    assert states(line.last)["quality"] is StepState.stopped
    assert line.run("resume", "--accept-quality", "a drill") == 8, "the experts' turn"
    assert line.last.result("quality")["accepted"] == "a drill"


def test_labels_that_cannot_be_judged_stop_it_with_another_code(line: Line) -> None:
    line.run("run", "--budget", str(BUDGET))
    line.answer()
    assert line.run("resume") == 5
    assert line.run("resume", *GO_ON) in (0, 8)


def test_stragglers_may_be_left_behind(line: Line) -> None:
    line.run("run", "--budget", str(BUDGET), *GO_ON)
    workspace, crowd = line.workspace, line.crowd
    from activesel.catalog import Catalog

    with Catalog.open(workspace.catalog_place) as catalog:
        tasks = catalog.annotations.tasks("0001")
        some = [crowd.say(crowd.pick(task.image_id, 1, expert=False)[0], task.image_id) for task in tasks[:12]]
        catalog.annotations.add(some)
    assert line.run("resume", *GO_ON) == 8
    share = 11.5 / sum(task.n_wanted for task in tasks)
    assert line.run("resume", *GO_ON, "--set", f"rounds.least_labelled={share:.3f}") in (0, 8)
    assert states(line.last)["label"] is StepState.done


@pytest.mark.parametrize("before", [True, False])
def test_a_dry_run_writes_nothing(line: Line, before: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if before:
        line.run("run", "--budget", str(BUDGET))
    kept = snapshot(line.root)
    capsys.readouterr()
    assert line.run("run", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["round"], plan["goes_on"]) == (1, before)
    assert plan["steps"][0]["state"] == ("done" if before else "open")
    assert snapshot(line.root) == kept


def snapshot(root: Path) -> dict[str, bytes]:
    read: Callable[[Path], bytes] = Path.read_bytes
    return {str(path): read(path) for path in root.rglob("*") if path.is_file() and "sqlite" not in path.name}


def test_status_says_who_waits_for_whom(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert line.run("status") == 3
    line.run("run", "--budget", str(BUDGET))
    capsys.readouterr()
    assert line.run("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    step = next(one for one in found["steps"] if one["name"] == "label")
    assert (step["state"], found["breaches"]) == ("waiting", [])
    assert "@" in step["owner"]
    assert "activesel review 0001" in found["next_step"]
    assert line.run("status", "--set", "rounds.label_hours=1e-9") == 0
    assert "label: people have had it for 0 hours" in capsys.readouterr().out
