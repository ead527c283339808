"""The collector's log: what was acknowledged and is not in the catalog yet. Only grows, and is deleted by segments.

A record is a line: its CRC-32 in eight hex digits, a space, and JSON, a list of events and one of dead letters.
What `append` returned from is on the disk. A process that is killed leaves at most one line cut short, which was never
acknowledged; the next one begins a new segment, so that nothing is ever written behind such a line.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activesel.errors import LockedError
from activesel.events.reading import Read
from activesel.records import DeadLetter, Event

SEGMENT_BYTES = 16 << 20
_NAME = re.compile(r"(\d{10})\.log")
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_LOG = logging.getLogger(__name__)


def encode(read: Read) -> bytes:
    """Return one payload's events and dead letters as a record."""
    events = [[e.source, e.id, e.type, e.image_id, e.prediction_id, e.time, e.received, e.data] for e in read.events]
    dead = [[d.format, d.reason, d.received, d.payload] for d in read.dead]
    body = _ENCODER.encode([events, dead]).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> Read | None:
    """Return what a record holds, None where it is damaged or was cut short."""
    body = line[9:-1]
    if line[-1:] != b"\n" or line[:9] != b"%08x " % zlib.crc32(body):
        return None
    events, dead = json.loads(body)
    return Read(tuple(Event(*fields) for fields in events), tuple(DeadLetter(*fields) for fields in dead))


@dataclass(frozen=True)
class Place:
    """Where the next record to drain begins."""

    number: int
    offset: int = 0


class EventLog:
    """The segments of one folder, held by one process at a time. One thread appends, another may drain."""

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            LockedError: another process holds it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / "lock").open("a+", encoding="utf8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise LockedError("events are collected by another process", where=str(folder)) from None
        numbers = self._numbers()
        self._number = max(numbers, default=0) + 1  # of the segment that is appended to
        self._synced = 0  # bytes of it that are on the disk
        self._descriptor: int | None = None
        self._guard = threading.Lock()  # over the counts, which one thread raises and the other reads
        self._old_bytes = sum(self._path(number).stat().st_size for number in numbers)
        self._drained = Place(min(numbers, default=self._number))

    @property
    def backlog_bytes(self) -> int:
        """What is not drained yet."""
        with self._guard:
            return self._old_bytes + self._synced - self._drained.offset

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and wait until the disk has them, all at once.

        Raises:
            OSError: it could not; some may be there all the same, so nothing may be acknowledged.
        """
        descriptor = self._open()
        try:
            _write_all(descriptor, b"".join(records))
            os.fdatasync(descriptor)
        except OSError:
            self._end_segment(os.fstat(descriptor).st_size)  # nothing is written behind what may be cut short
            raise
        with self._guard:
            self._synced += sum(map(len, records))
        if self._synced >= SEGMENT_BYTES:
            self._end_segment(self._synced)

    def take(self, most_events: int) -> tuple[Read, Place]:
        """Return what is to be drained next, in order, and the place behind it to hand to `release`."""
        events: list[Event] = []
        dead: list[DeadLetter] = []
        place = self._drained
        while len(events) + len(dead) < most_events:
            with self._guard:
                is_last = place.number >= self._number
                limit = self._synced if is_last else None
            for read, after in self._read_from(place, limit):
                place = after
                events += read.events
                dead += read.dead
                if len(events) + len(dead) >= most_events:
                    break
            else:
                if is_last:
                    break
                place = Place(place.number + 1)
        return Read(tuple(events), tuple(dead)), place

    def release(self, place: Place) -> None:
        """Let go of everything before ``place``; the catalog has it, on the disk."""
        gone = [path for number in range(self._drained.number, place.number) if (path := self._path(number)).exists()]
        n_bytes = sum(path.stat().st_size for path in gone)
        for path in gone:
            path.unlink()
        with self._guard:
            self._old_bytes -= n_bytes
            self._drained = place

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self.backlog_bytes == 0:
            self._path(self._number).unlink(missing_ok=True)
        self._lock.close()

    def _read_from(self, place: Place, limit: int | None) -> Iterator[tuple[Read, Place]]:
        """Yield the records of one segment from a place on, each with the place behind it."""
        path = self._path(place.number)
        if not path.exists():
            return
        with path.open("rb") as stream:
            stream.seek(place.offset)
            while limit is None or stream.tell() < limit:
                line = stream.readline()
                if not line:
                    return
                read, after = decode(line), stream.tell()
                if read is None:
                    self._complain(path, after - len(line), last=not stream.read(1))
                    stream.seek(after)
                    continue
                yield read, Place(place.number, after)

    def _complain(self, path: Path, at: int, *, last: bool) -> None:
        """A cut last line was never acknowledged. Any other is damage of the disk: its segment is kept beside."""
        if last:
            _LOG.info("%s: the last record, at byte %d, was cut short and never acknowledged", path, at)
            return
        _LOG.error("%s: a record at byte %d is damaged; the segment is kept as %s.damaged", path, at, path.name)
        kept = path.with_name(path.name + ".damaged")
        if not kept.exists():
            os.link(path, kept)

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._descriptor = os.open(self._path(self._number), flags, 0o600)
            _sync_folder(self._folder)
        return self._descriptor

    def _end_segment(self, n_bytes: int) -> None:
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None
        with self._guard:
            self._old_bytes += n_bytes
            self._number, self._synced = self._number + 1, 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}.log"

    def _numbers(self) -> list[int]:
        return sorted(int(found[1]) for path in self._folder.iterdir() if (found := _NAME.fullmatch(path.name)))


def backlog_of(folder: Path) -> int:
    """Return the bytes that wait in a folder, whoever holds it."""
    if not folder.is_dir():
        return 0
    found = 0
    for path in folder.glob("*.log"):
        try:
            found += path.stat().st_size
        except FileNotFoundError:
            continue
    return found


def _write_all(descriptor: int, content: bytes) -> None:
    view: Any = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    """Let the disk know a new file's name, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
