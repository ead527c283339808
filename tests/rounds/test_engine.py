"""Steps of a round: each recorded before and after, in order, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activesel.errors import DataError, LockedError, RefusedError, WaitingError
from activesel.rounds.engine import Outcome, Room, Step, advance, hold_rounds, is_held
from activesel.rounds.record import FILE, Round, StepRecord, StepState, begin, find_round, folder_of, read_rounds
from activesel.workspace import Workspace, create_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "line")


class Machine:
    """Steps a and b, each of which notes that it ran; b does what it is told first."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.trouble: BaseException | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        return Step("a", "the first", self._a), Step("b", "the second", self._b)

    def _a(self, _room: Room) -> Outcome:
        self.ran.append("a")
        return Outcome({"size": 3}, "three of them")

    def _b(self, room: Room) -> Outcome:
        if self.trouble is not None:
            raise self.trouble
        self.ran.append(f"b after {room.round.result('a')['size']}")
        return Outcome(skipped=True, message="nothing to do")


def go(workspace: Workspace, machine: Machine, current: Round | None = None) -> Round:
    current = current or begin(workspace, {"budget": 3}, [one.name for one in machine.steps])
    return advance(workspace, current, machine.steps, lambda _: None)


def test_steps_run_in_order_and_read_what_came_before(workspace: Workspace) -> None:
    machine = Machine()
    done = go(workspace, machine)
    assert machine.ran == ["a", "b after 3"]
    assert [one.state for one in done.steps] == [StepState.done, StepState.skipped]
    assert done.is_finished
    assert read_rounds(workspace) == [done]


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (WaitingError("people have not labelled it"), StepState.waiting),
        (RefusedError("the labels do not pass"), StepState.stopped),
        (DataError("a file is gone"), StepState.stopped),
    ],
)
def test_what_stops_a_step_is_recorded_and_tried_again(
    workspace: Workspace, trouble: BaseException, state: StepState
) -> None:
    machine = Machine()
    machine.trouble = trouble
    with pytest.raises(type(trouble)):
        go(workspace, machine)
    stopped = find_round(workspace, None)
    assert stopped.step("b").state is state
    assert stopped.step("b").message == str(trouble)
    machine.trouble = None
    done = go(workspace, machine, stopped)
    assert machine.ran == ["a", "b after 3"], "what was done is not done again"
    assert done.step("b").tries == 2
    assert done.step("b").started == stopped.step("b").started, "its age goes on"


def test_a_killed_step_is_run_again(workspace: Workspace) -> None:
    machine = Machine()
    machine.trouble = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        go(workspace, machine)
    assert find_round(workspace, None).step("b").state is StepState.running
    machine.trouble = None
    assert go(workspace, machine, find_round(workspace, None)).is_finished


def test_the_workspace_is_locked_for_a_step_unless_it_locks_itself(workspace: Workspace) -> None:
    def try_lock(_room: Room) -> Outcome:
        with workspace.lock("test"):
            return Outcome()

    with pytest.raises(LockedError):
        advance(workspace, begin(workspace, {}, ["x"]), (Step("x", "", try_lock),), lambda _: None)
    advance(workspace, begin(workspace, {}, ["x"]), (Step("x", "", try_lock, locks=False),), lambda _: None)


def test_one_process_at_a_time_runs_rounds(workspace: Workspace) -> None:
    assert not is_held(workspace)
    with hold_rounds(workspace):
        assert is_held(workspace)
        with pytest.raises(LockedError, match="a round is being run already"), hold_rounds(workspace):
            pass
    assert not is_held(workspace)


def test_rounds_are_numbered_on(workspace: Workspace) -> None:
    assert [begin(workspace, {}, ["a"]).name for _ in range(3)] == ["0001", "0002", "0003"]
    assert find_round(workspace, 2).number == 2
    with pytest.raises(DataError, match="no such round; found 9; expected 1 to 3"):
        find_round(workspace, 9)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 1, "number": 1}', '{"schema_version": 9, "steps": []}']
)
def test_a_damaged_record_is_named(workspace: Workspace, text: str) -> None:
    begin(workspace, {}, ["a"])
    path = folder_of(workspace, 1) / FILE
    path.write_text(text)
    with pytest.raises(DataError, match=r"round\.json"):
        read_rounds(workspace)


def test_no_rounds_is_said(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="there is no round yet"):
        find_round(workspace, None)


def test_a_record_is_plain_json(workspace: Workspace) -> None:
    go(workspace, Machine())
    document = json.loads((folder_of(workspace, 1) / FILE).read_text())
    assert document["steps"][0]["result"] == {"size": 3}
    assert StepRecord(**{**document["steps"][1], "state": StepState.skipped}).message == "nothing to do"
