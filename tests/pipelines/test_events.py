"""`activesel events`: files into the catalog, each event once whatever interrupts, and the dead looked at again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.events import Read, read_payload
from activesel.events.log import EventLog, encode
from activesel.pipelines import events as story
from activesel.pipelines.events import (
    check_events,
    drain_leftovers,
    event_status,
    find_schema,
    ingest_events,
    list_dead,
    log_folder,
    retry_dead,
    write_schemas,
)
from activesel.records import DeadLetter
from activesel.workspace import Workspace, create_workspace
from tests.events.payloads import BARE, BATCHES, CLOUDEVENT, NOW, TRACK, to_bytes

GOOD = [CLOUDEVENT, TRACK, BARE, *(payload for _, payload in BATCHES)]
N_EVENTS = 9  # distinct: a batch repeats the single event beside it


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "work")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.ndjson.gz"
    lines = [*map(json.dumps, GOOD), "broken", json.dumps({**CLOUDEVENT, "id": "9", "type": "later.kind"})]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def ids(workspace: Workspace) -> list[str]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return [one.id for one in catalog.events.read()]


def test_a_file_of_all_formats_is_read_once(workspace: Workspace, file: Path) -> None:
    done = ingest_events(workspace, [file])
    assert (done.n_events, done.n_new, done.n_dead) == (11, N_EVENTS, 2)
    assert done.by_type == {"operator.override": 11}
    assert done.problems[0][0] == f"{file}:8"
    again = ingest_events(workspace, [file])
    assert (again.n_events, again.n_new) == (11, 0)
    assert len(ids(workspace)) == N_EVENTS
    assert len(list_dead(workspace, 10)) == 2


def test_a_dry_run_writes_nothing(workspace: Workspace, file: Path) -> None:
    assert ingest_events(workspace, [file], dry_run=True) == check_events([file])
    assert not workspace.catalog_path.exists()


def test_a_run_that_was_killed_anywhere_ends_the_same(
    workspace: Workspace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "STEP", 2)
    whole = story._read_files
    for n_before in range(8):

        def cut(*arguments: object, n_before: int = n_before) -> Iterator[tuple[str, Read]]:
            for i, one in enumerate(whole(*arguments)):  # type: ignore[arg-type]
                if i == n_before:
                    raise KeyboardInterrupt
                yield one

        with monkeypatch.context() as patched:
            patched.setattr(story, "_read_files", cut)
            with pytest.raises(KeyboardInterrupt):
                ingest_events(workspace, [file])
    ingest_events(workspace, [file])
    assert len(ids(workspace)) == len(set(ids(workspace))) == N_EVENTS


def test_one_format_can_be_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(to_bytes(CLOUDEVENT))
    assert ingest_events(workspace, [path], format_name="segment").n_dead == 1
    with pytest.raises(UsageError, match="cloudevents"):
        ingest_events(workspace, [path], format_name="xml")
    with pytest.raises(DataError, match="cannot read"):
        ingest_events(workspace, [tmp_path / "none"])


def test_what_a_killed_collector_left_is_brought_in(workspace: Workspace) -> None:
    log = EventLog(log_folder(workspace))
    log.append([encode(read_payload(to_bytes({**CLOUDEVENT, "id": one}), NOW)) for one in "abc"])
    assert drain_leftovers(workspace).n_events == 0, "it runs, and does it itself"
    assert event_status(workspace).backlog_bytes > 0
    log._lock.close()
    assert drain_leftovers(workspace).n_new == 3
    assert ids(workspace) == ["a", "b", "c"]
    assert event_status(workspace).backlog_bytes == 0


def test_the_dead_that_are_events_by_now_are_stored(workspace: Workspace) -> None:
    received = "2026-11-24T12:00:00.000000+00:00"
    letters = [DeadLetter(name, "an older release", received, json.dumps({**CLOUDEVENT, "id": name}))
               for name in ("cloudevents", "unknown", "segment")]  # fmt: skip
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.events.add([], letters)
    done = retry_dead(workspace)
    assert (done.n_read, done.n_new, done.n_left) == (2, 2, 1)
    assert ids(workspace) == ["cloudevents", "unknown"]
    assert [one.format for one in list_dead(workspace, 5)] == ["segment"]
    assert retry_dead(workspace).n_read == 0


def test_the_dead_are_bounded(tmp_path: Path, file: Path) -> None:
    small = create_workspace(tmp_path / "small", ["events.keep_dead=1"])
    ingest_events(small, [file])
    assert len(list_dead(small, 5)) == 1


def test_schemas_by_any_name_and_as_files(tmp_path: Path) -> None:
    assert find_schema("Operator Override")["self"]["name"] == "operator_override"
    with pytest.raises(DataError, match="not a type of event"):
        find_schema("nonsense")
    assert write_schemas(tmp_path) == 10
    found = json.loads((tmp_path / "schemas/com.activesel/rework_result/jsonschema/1-0-0").read_text())
    assert found == find_schema("rework.result")
