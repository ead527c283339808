"""The collector's log: what was appended comes out, once released never again, whatever cut it short."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from activesel.catalog.events import Stored
from activesel.errors import LockedError
from activesel.events import Read, log, read_payload
from activesel.events.commit import CommitError, GroupCommit
from activesel.events.drain import STEP, Drained, Drainer, drain_step
from activesel.events.log import EventLog, backlog_of, decode, encode
from tests.events.payloads import CLOUDEVENT, NOW, to_bytes


def reads(*ids: str) -> list[Read]:
    return [read_payload(to_bytes({**CLOUDEVENT, "id": one}), NOW) for one in ids]


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[[], EventLog]]:
    """Open the log as another process would after a kill: what an earlier one held is free, and written as it was."""
    opened: list[EventLog] = []

    def again() -> EventLog:
        leave()
        opened.append(EventLog(tmp_path))
        return opened[-1]

    def leave() -> None:
        for one in opened:
            one._lock.close()
            if one._descriptor is not None:
                os.close(one._descriptor)
                one._descriptor = None

    yield again
    leave()


OpenLog = Callable[[], EventLog]


def append(found: EventLog, *ids: str) -> None:
    found.append([encode(read) for read in reads(*ids)])


def take_all(found: EventLog) -> list[str]:
    read, place = found.take(1000)
    found.release(place)
    return [one.id for one in read.events]


def test_a_record_comes_back_as_it_was() -> None:
    (read,) = reads("1")
    assert decode(encode(read)) == read
    dead = read_payload(b"x\xff", NOW)
    assert decode(encode(dead)) == dead
    assert decode(encode(read)[:-1]) is None
    assert decode(encode(read).replace(b"crack", b"brack")) is None


def test_what_was_appended_is_taken_in_order_until_it_is_released(tmp_path: Path, open_log: OpenLog) -> None:
    found = open_log()
    append(found, "1", "2", "3")
    assert [one.id for one in found.take(2)[0].events] == ["1", "2"]
    assert [one.id for one in found.take(9)[0].events] == ["1", "2", "3"], "taking alone lets nothing go"
    _, place = found.take(2)
    found.release(place)
    assert take_all(found) == ["3"]
    assert found.backlog_bytes == 0
    assert take_all(found) == []
    append(found, "4")
    assert take_all(found) == ["4"]
    found.close()
    assert not list(tmp_path.glob("*.log"))


def test_segments_end_and_go(tmp_path: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SEGMENT_BYTES", 1000)
    found = open_log()
    for i in range(20):
        append(found, str(i))
    assert len(list(tmp_path.glob("*.log"))) > 3
    assert found.backlog_bytes == backlog_of(tmp_path)
    assert take_all(found) == [str(i) for i in range(20)]
    assert found.backlog_bytes == 0
    assert len(list(tmp_path.glob("*.log"))) <= 1
    found.close()


def test_another_process_takes_up_what_was_left(tmp_path: Path, open_log: OpenLog) -> None:
    first = open_log()
    append(first, "1", "2")
    with pytest.raises(LockedError):
        EventLog(tmp_path)
    second = open_log()
    append(second, "3")
    assert second.backlog_bytes == backlog_of(tmp_path)
    assert take_all(second) == ["1", "2", "3"]


@pytest.mark.parametrize("n_cut", [1, 50])
def test_a_line_cut_short_is_left_out(tmp_path: Path, open_log: OpenLog, n_cut: int) -> None:
    first = open_log()
    append(first, "1", "2")
    (segment,) = tmp_path.glob("*.log")
    os.truncate(segment, segment.stat().st_size - n_cut)
    second = open_log()
    append(second, "3")
    assert take_all(second) == ["1", "3"]
    assert not list(tmp_path.glob("*.damaged"))
    assert second.backlog_bytes == 0


def test_damage_in_the_middle_costs_that_record_and_is_kept(tmp_path: Path, open_log: OpenLog) -> None:
    first = open_log()
    append(first, "1", "2", "3")
    (segment,) = tmp_path.glob("*.log")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    second = open_log()
    assert take_all(second) == ["1", "3"]
    append(second, "4")
    assert take_all(second) == ["4"]
    assert len(list(tmp_path.glob("*.damaged"))) == 1


def test_nothing_is_written_behind_a_write_that_failed(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_log()
    append(found, "1")
    write = os.write

    def fail(descriptor: int, content: bytes) -> int:
        write(descriptor, bytes(content)[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(OSError, match="space"):
            append(found, "2")
    append(found, "3")
    assert take_all(found) == ["1", "3"]
    assert found.backlog_bytes == 0


def test_all_that_wait_share_one_write() -> None:
    groups: list[int] = []

    async def story() -> int:
        commit = GroupCommit(lambda records: groups.append(len(records)))
        await asyncio.gather(*(commit.put(b"x") for _ in range(50)))
        await commit.close()
        return commit.n_groups

    assert asyncio.run(story()) == len(groups)
    assert sum(groups) == 50
    assert len(groups) <= 2


def test_a_write_that_fails_is_told_to_all_who_wait_and_the_next_may_pass() -> None:
    full = [True]

    def write(_records: Sequence[bytes]) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")

    async def story() -> list[object]:
        commit = GroupCommit(write)
        failed = await asyncio.gather(*(commit.put(b"x") for _ in range(3)), return_exceptions=True)
        full[0] = False
        await commit.put(b"y")
        await commit.close()
        return list(failed)

    assert [type(one) for one in asyncio.run(story())] == [CommitError] * 3


def test_draining_stores_everything_in_steps(open_log: OpenLog) -> None:
    found, seen, done = open_log(), list[str](), Drained()
    (read,) = reads("1")
    event = read.events[0]
    many = Read(tuple(replace(event, id=str(i)) for i in range(STEP + 5)))
    found.append([encode(Read(many.events[i : i + 100])) for i in range(0, STEP + 5, 100)])

    def store(part: Read) -> Stored:
        seen.extend(one.id for one in part.events)
        return Stored(len(part.events), 0)

    assert drain_step(found, store, done)
    assert not drain_step(found, store, done)
    assert seen == [str(i) for i in range(STEP + 5)]
    assert done.n_events == done.n_new == STEP + 5


def test_a_catalog_that_fails_costs_nothing(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activesel.events.drain._PAUSE_S", 0.01)
    found, seen, calls = open_log(), list[str](), [0]
    append(found, "1", "2")

    def store(part: Read) -> Stored:
        calls[0] += 1
        if calls[0] < 3:
            raise LockedError("the catalog is in use")
        seen.extend(one.id for one in part.events)
        return Stored(len(part.events), 0)

    drainer = Drainer(found, store)
    drainer.start()
    while not seen:
        assert drainer._thread.is_alive()
    append(found, "3")
    drainer.stop()
    assert seen == ["1", "2", "3"]
    assert drainer.done.complaint == ""
