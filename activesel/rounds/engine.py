"""Run the steps of a round one after the other, each recorded before and after, so that any may be killed and rerun."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from activesel.errors import ActiveselError, LockedError, WaitingError
from activesel.rounds.record import ENDED, Round, StepRecord, StepState, now, rounds_folder, save, whose
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Room:
    """What a step may look at: the workspace, and the round with what earlier steps found. titles: of all steps."""

    workspace: Workspace
    round: Round
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.round.settings


@dataclass(frozen=True)
class Outcome:
    """A step that is over. result: plain values. message: for a person. skipped: there was nothing to do."""

    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Step:
    """run: does the step, the same however often; what waits for people raises WaitingError, a verdict against going on
    RefusedError or InconclusiveError. title: what it does, for people. locks: it wants the workspace's lock held.
    """

    name: str
    title: str
    run: Callable[[Room], Outcome]
    locks: bool = True


def advance(workspace: Workspace, current: Round, steps: Sequence[Step], watch: Callable[[StepRecord], None]) -> Round:
    """Run what has not ended, in order; return the finished round.

    watch: told of each step as it begins and as it ends. The caller holds the rounds (`hold_rounds`).

    Raises:
        WaitingError, RefusedError, InconclusiveError: a step waits for people, or a verdict stops it; recorded, and
            tried again by the next call. Any other error of ours is recorded, too, and tried again.
    """
    titles = {step.name: step.title for step in steps}
    for step in steps:
        before = current.step(step.name)
        if before.state in ENDED:
            continue
        began = replace(before, state=StepState.running, started=before.started or now(), owner=whose(), message="",
                        tries=before.tries + 1)  # fmt: skip
        current = _record(workspace, current, began, watch)
        try:
            with workspace.lock(f"round run, {step.name}") if step.locks else nullcontext():
                outcome = step.run(Room(workspace, current, titles))
        except ActiveselError as error:
            state = StepState.waiting if isinstance(error, WaitingError) else StepState.stopped
            _record(workspace, current, replace(began, state=state, message=str(error)), watch)
            raise
        ended = StepState.skipped if outcome.skipped else StepState.done
        current = _record(workspace, current, replace(began, state=ended, finished=now(), message=outcome.message,
                                                      result=dict(outcome.result)), watch)  # fmt: skip
    return current


def _record(workspace: Workspace, current: Round, changed: StepRecord, watch: Callable[[StepRecord], None]) -> Round:
    current = current.with_step(changed)
    save(workspace, current)
    watch(changed)
    return current


@contextmanager
def hold_rounds(workspace: Workspace) -> Iterator[None]:
    """Keep other processes from running a round of this workspace; freed however the process ends.

    Raises:
        LockedError: another one does.
    """
    path = rounds_folder(workspace) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError("a round is being run already", where=str(workspace.root),
                              hint="wait until it is done, then run this again") from None  # fmt: skip
        yield


def is_held(workspace: Workspace) -> bool:
    """Tell whether a process is running a round now; writes nothing."""
    if not (rounds_folder(workspace) / "lock").exists():
        return False
    try:
        with hold_rounds(workspace):
            return False
    except LockedError:
        return True
