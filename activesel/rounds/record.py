"""A round on disk: which step stands where, since when, who runs it, and what it found. Decides nothing."""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from activesel.errors import DataError
from activesel.workspace import Workspace, write_json

SCHEMA_VERSION = 1
FILE = "round.json"


class StepState(StrEnum):
    """open: not begun. running: begun, and ended neither well nor badly; by a process that is gone, where none runs it.

    waiting: for people. stopped: by a verdict, or by an error that its message names. skipped: there was nothing to do.
    """

    open = "open"
    running = "running"
    waiting = "waiting"
    stopped = "stopped"
    skipped = "skipped"
    done = "done"


ENDED = (StepState.done, StepState.skipped)


@dataclass(frozen=True)
class StepRecord:
    """One step. started: when it was first begun; finished: when it ended; UTC, ISO 8601, "" = not yet.

    owner: user@host and process of the last run. result: plain values that later steps and the page read.
    message: what a person is to know. tries: how many times it was begun.
    """

    name: str
    state: StepState = StepState.open
    started: str = ""
    finished: str = ""
    owner: str = ""
    message: str = ""
    tries: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """number: from 1. settings: what it was begun with, plain values. steps: in the order in which they run."""

    number: int
    created: str
    settings: Mapping[str, Any]
    steps: tuple[StepRecord, ...]

    @property
    def name(self) -> str:
        return f"{self.number:04d}"

    @property
    def is_finished(self) -> bool:
        return all(one.state in ENDED for one in self.steps)

    def step(self, name: str) -> StepRecord:
        return next(one for one in self.steps if one.name == name)

    def result(self, name: str) -> Mapping[str, Any]:
        """Return what a step found, {} where it did nothing."""
        return next((one.result for one in self.steps if one.name == name), {})

    def with_step(self, changed: StepRecord) -> Round:
        return replace(self, steps=tuple(changed if one.name == changed.name else one for one in self.steps))


def rounds_folder(workspace: Workspace) -> Path:
    return workspace.state / "rounds"


def folder_of(workspace: Workspace, number: int) -> Path:
    return rounds_folder(workspace) / f"{number:04d}"


def begin(workspace: Workspace, settings: Mapping[str, Any], names: Sequence[str]) -> Round:
    """Write the round after the last, with every step open."""
    number = max((one.number for one in read_rounds(workspace)), default=0) + 1
    fresh = Round(number, now(), dict(settings), tuple(StepRecord(name) for name in names))
    save(workspace, fresh)
    return fresh


def save(workspace: Workspace, current: Round) -> None:
    """Write a round as it stands, atomically."""
    path = folder_of(workspace, current.number) / FILE
    write_json(path, {"schema_version": SCHEMA_VERSION, **asdict(current)})


def read_rounds(workspace: Workspace) -> list[Round]:
    """Return every round, the oldest first.

    Raises:
        DataError: a file of one is damaged, or of another activesel.
    """
    return [_read(path) for path in sorted(rounds_folder(workspace).glob(f"[0-9]*/{FILE}"))]


def find_round(workspace: Workspace, number: int | None) -> Round:
    """Return a round, None = the last one.

    Raises:
        DataError: there is none.
    """
    known = read_rounds(workspace)
    if not known:
        raise DataError("there is no round yet", where=str(workspace.root), hint="run `activesel round run`")
    found = known[-1] if number is None else next((one for one in known if one.number == number), None)
    if found is None:
        raise DataError("no such round", where=str(workspace.root), found=str(number),
                        expected=f"1 to {known[-1].number}")  # fmt: skip
    return found


def _read(path: Path) -> Round:
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        if document.pop("schema_version") != SCHEMA_VERSION:
            raise DataError("a round of another activesel", where=str(path), expected=f"schema {SCHEMA_VERSION}")
        steps = tuple(StepRecord(**{**one, "state": StepState(one["state"])}) for one in document.pop("steps"))
        return Round(**document, steps=steps)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        hint = "restore it from a copy, or delete its folder and begin the round again"
        raise DataError("not the record of a round", where=str(path), hint=hint) from None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def whose() -> str:
    """Return user@host and the process, as the owner of what this process does."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = str(os.getuid())  # a container without a name for it
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
