"""The story of `activesel events`: files of events into the catalog, what is there, and a second look at the dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activesel.catalog import Catalog
from activesel.catalog.events import EventCounts, Stored
from activesel.errors import LockedError
from activesel.events import (
    SCHEMAS,
    EventFormat,
    Read,
    describe_schema,
    event_format_names,
    get_event_format,
    read_payload,
    schema_path,
)
from activesel.events.drain import STEP, Drained, drain_step
from activesel.events.files import read_texts
from activesel.events.log import EventLog, backlog_of
from activesel.events.reading import find_type
from activesel.records import DeadLetter, Event
from activesel.workspace import Workspace, write_json

MOST_PROBLEMS = 20  # that a summary shows


@dataclass
class FileSummary:
    """n_events: in the files, good ones. n_new of them the catalog had not. n_dead: what is no event. by_type: events.

    problems: (place, reason) of the first that are no events. stored: not a dry run.
    """

    n_events: int = 0
    n_new: int = 0
    n_dead: int = 0
    by_type: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    stored: bool = False

    def add(self, where: str, read: Read) -> None:
        self.n_events += len(read.events)
        self.n_dead += len(read.dead)
        self.by_type.update(one.type for one in read.events)
        left = MOST_PROBLEMS - len(self.problems)
        self.problems += [(where, one.reason) for one in read.dead[:left]]


@dataclass(frozen=True)
class EventStatus:
    """What the catalog has; backlog_bytes: what waits in the collector's log."""

    counts: EventCounts
    backlog_bytes: int


@dataclass(frozen=True)
class DeadAgain:
    """A second look: n_read of the letters are events now, n_new of those were not known; n_left stay dead."""

    n_read: int
    n_new: int
    n_left: int


def log_folder(workspace: Workspace) -> Path:
    return workspace.state / "events"


def store_read(workspace: Workspace, catalog: Catalog, read: Read) -> Stored:
    """Record what was read; dead letters beyond `events.keep_dead` go, the oldest first."""
    return catalog.events.add(read.events, read.dead, most_dead=workspace.config.events.keep_dead)


def ingest_events(
    workspace: Workspace, files: Sequence[Path], *, format_name: str | None = None, dry_run: bool = False
) -> FileSummary:
    """Record the events of files; what is none goes to the dead letters with its reason.

    Takes no lock: each few thousand events are a transaction, and known ones change nothing. So a run that was killed
    is run again, to the same end; a collector may run beside it.

    Raises:
        DataError: a file that cannot be read; what came before stands. UsageError: no such format.
    """
    if dry_run:
        return check_events(files, format_name=format_name)
    fmt, summary = get_event_format(format_name) if format_name else None, FileSummary(stored=True)
    with Catalog.open(workspace.catalog_place) as catalog:
        events: list[Event] = []
        dead: list[DeadLetter] = []
        for where, read in _read_files(files, fmt):
            summary.add(where, read)
            events += read.events
            dead += read.dead
            if len(events) + len(dead) >= STEP:
                summary.n_new += store_read(workspace, catalog, Read(tuple(events), tuple(dead))).n_new
                events, dead = [], []
        summary.n_new += store_read(workspace, catalog, Read(tuple(events), tuple(dead))).n_new
    return summary


def check_events(files: Sequence[Path], *, format_name: str | None = None) -> FileSummary:
    """Read files as `ingest_events` does, and record nothing.

    Raises:
        DataError: a file that cannot be read. UsageError: no such format.
    """
    fmt, summary = get_event_format(format_name) if format_name else None, FileSummary()
    for where, read in _read_files(files, fmt):
        summary.add(where, read)
    return summary


def drain_leftovers(workspace: Workspace) -> Drained:
    """Bring what a collector that was killed left in its log into the catalog; nothing where one runs, which does."""
    done = Drained()
    if not backlog_of(log_folder(workspace)):
        return done
    try:
        log = EventLog(log_folder(workspace))
    except LockedError:
        return done
    try:
        with Catalog.open(workspace.catalog_place) as catalog:
            while drain_step(log, lambda read: store_read(workspace, catalog, read), done):
                pass
    finally:
        log.close()
    return done


def event_status(workspace: Workspace) -> EventStatus:
    """Count what is there."""
    with Catalog.open(workspace.catalog_place) as catalog:
        return EventStatus(catalog.events.counts(), backlog_of(log_folder(workspace)))


def list_dead(workspace: Workspace, most: int) -> list[DeadLetter]:
    """Return dead letters, the oldest first."""
    with Catalog.open(workspace.catalog_place) as catalog:
        return catalog.events.dead_letters(most)


def retry_dead(workspace: Workspace) -> DeadAgain:
    """Read every dead letter again; those that are events by now, with newer schemas say, are recorded as such."""
    n_read = n_new = n_left = 0
    with Catalog.open(workspace.catalog_place) as catalog:
        letters = catalog.events.dead_letters()
        for start in range(0, len(letters), STEP):
            forgiven: list[DeadLetter] = []
            events: list[Event] = []
            for letter in letters[start : start + STEP]:
                read = _read_again(letter)
                if read.dead or not read.events:
                    n_left += 1
                else:
                    forgiven.append(letter)
                    events += read.events
            if forgiven:
                n_new += catalog.events.forgive(forgiven, events).n_new
            n_read += len(forgiven)
    return DeadAgain(n_read, n_new, n_left)


def list_schemas() -> list[tuple[str, str]]:
    """Return each type with what it means."""
    return [(kind, str(model.__doc__)) for kind, model in SCHEMAS.items()]


def find_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a type, in any spelling.

    Raises:
        DataError: no such type.
    """
    return describe_schema(find_type(kind))


def write_schemas(folder: Path) -> int:
    """Write every schema where a static Iglu registry has it; return how many."""
    for kind in SCHEMAS:
        path = folder / "schemas" / schema_path(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, describe_schema(kind))
    return len(SCHEMAS)


def _read_again(letter: DeadLetter) -> Read:
    """As it was received then: the moment of an event without a time, and what lies in the future, stay the same."""
    fmt = get_event_format(letter.format) if letter.format in event_format_names() else None
    return read_payload(letter.payload.encode("utf8", "backslashreplace"), datetime.fromisoformat(letter.received), fmt)


def _read_files(files: Sequence[Path], fmt: EventFormat | None) -> Iterator[tuple[str, Read]]:
    received = datetime.now(UTC)
    for file in files:
        for where, text in read_texts(file):
            yield where, read_payload(text, received, fmt)
