"""The story of `activesel ingest`: list the files, check the new ones in threads, record them, then their labels."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from activesel.catalog import Catalog, FileStamp
from activesel.config import IngestConfig
from activesel.errors import DataError
from activesel.images import check_image
from activesel.labels import ImageLookup, Opinion, find_format, read_labels, to_labels
from activesel.progress import show_progress
from activesel.records import ImageRow, Label, Quarantined
from activesel.sources import Source, SourceEntry, read_source
from activesel.workspace import Workspace

_FILES_PER_TASK = 32  # enough that handing out work costs nothing, few enough that a bar moves
_FILES_PER_COMMIT = 4096  # a killed run loses at most these,
_SECONDS_PER_COMMIT = 5.0  # or what was done in this time


@dataclass(frozen=True)
class IngestSummary:
    """What happened to the files of one source; n_seen = n_new + n_doubled + n_known + the quarantined.

    n_new: images not known before. n_doubled: new names of an image known under another. n_known: files unchanged since
    an earlier run, not read again. quarantined: reason -> files. n_labels: labels read. n_unmatched: paths that do not
    fit the path pattern. rate: files a second.
    """

    source: str
    n_seen: int
    n_new: int
    n_doubled: int
    n_known: int
    quarantined: Mapping[str, int]
    n_labels: int
    n_unmatched: int
    seconds: float

    @property
    def n_quarantined(self) -> int:
        return sum(self.quarantined.values())

    @property
    def rate(self) -> float:
        return self.n_seen / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file after its check: what came of it, and None as the stamp where it was known and has not changed."""

    entry: SourceEntry
    result: ImageRow | Quarantined | None
    stamp: FileStamp | None = None


@dataclass
class _Tally:
    n_new: int = 0
    n_doubled: int = 0
    n_known: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)


def ingest(workspace: Workspace, source: str, *, labels: Path | None = None) -> IngestSummary:
    """Bring the images of ``source`` into the catalog, and their labels; a second run adds only what is new.

    The caller holds the workspace's lock. Work is recorded every few thousand files, in the order of the source, so an
    interrupted run goes on where it stopped and ends with the same catalog.

    Raises:
        DataError: a bad source or label file, or no usable image at all. ConfigError: a bad path pattern.
    """
    started = time.monotonic()
    settings = workspace.config.ingest
    if labels is not None:
        find_format(labels)  # a misspelt name is told now, not after an hour
    found = read_source(source, path_pattern=settings.path_pattern, labels_from_folders=settings.labels_from_folders)
    with Catalog.open(workspace.catalog_place) as catalog:
        tally = _add_files(catalog, found, settings)
        if catalog.counts().n_images == 0:
            raise _nothing_usable(catalog, found, tally)
        n_labels = _add_labels(catalog, found, labels)
    return IngestSummary(
        source=found.name, n_seen=len(found.entries), n_new=tally.n_new, n_doubled=tally.n_doubled,
        n_known=tally.n_known, quarantined=dict(sorted(tally.quarantined.items())), n_labels=n_labels,
        n_unmatched=found.n_unmatched, seconds=time.monotonic() - started,
    )  # fmt: skip


def _add_files(catalog: Catalog, source: Source, settings: IngestConfig) -> _Tally:
    tally = _Tally()
    pending: list[_Checked] = []
    last_commit = time.monotonic()
    # Closing the generator stops its threads at once when something here is interrupted.
    results = contextlib.closing(_check_all(source.entries, catalog.known_files(), settings))
    with show_progress("ingest", len(source.entries)) as advance, results as all_checked:
        for checked in all_checked:
            pending += checked
            if len(pending) >= _FILES_PER_COMMIT or time.monotonic() - last_commit > _SECONDS_PER_COMMIT:
                _commit(catalog, pending, source.name, tally)
                pending, last_commit = [], time.monotonic()
            advance(len(checked))
        _commit(catalog, pending, source.name, tally)
    return tally


def _check_all(
    entries: Sequence[SourceEntry], known: Mapping[str, FileStamp], settings: IngestConfig
) -> Generator[list[_Checked], None, None]:
    """Yield checked files in the order of the entries; a few tasks per thread are under way at any time."""
    n_threads = settings.workers or 2 * (os.cpu_count() or 1)
    stop = threading.Event()

    def check_task(task: Sequence[SourceEntry]) -> list[_Checked]:
        return [_check_entry(entry, known, settings) for entry in task if not stop.is_set()]

    tasks = (entries[start : start + _FILES_PER_TASK] for start in range(0, len(entries), _FILES_PER_TASK))
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="ingest")
    try:
        running: deque[Future[list[_Checked]]] = deque()
        running.extend(pool.submit(check_task, task) for task in islice(tasks, 4 * n_threads))
        while running:
            checked = running.popleft().result()
            running.extend(pool.submit(check_task, task) for task in islice(tasks, 1))
            yield checked
    finally:  # also on Ctrl-C: threads stop after the file in hand
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _check_entry(entry: SourceEntry, known: Mapping[str, FileStamp], settings: IngestConfig) -> _Checked:
    name = str(entry.path)
    try:
        name.encode("utf8")
    except UnicodeEncodeError:  # bytes of a file name that are no UTF-8; the catalog holds text
        return _Checked(entry, Quarantined(ascii(name)[1:-1], "unreadable", "the file name is not UTF-8; rename it"))
    try:
        status = entry.path.stat()
    except (OSError, ValueError) as error:
        return _Checked(entry, Quarantined(name, "unreadable", getattr(error, "strerror", None) or str(error)))
    # Taken before the file is read: one that changes meanwhile differs from its stamp, and is read again next time.
    stamp = FileStamp(status.st_size, status.st_mtime_ns)
    if known.get(name) == stamp:
        return _Checked(entry, None)
    image = check_image(
        entry.path,
        max_pixels=round(settings.max_megapixels * 1e6),
        max_bytes=round(settings.max_file_mb * 1e6),
    )
    if isinstance(image, Quarantined):
        return _Checked(entry, image)
    row = ImageRow(image.image_id, name, image.width_px, image.height_px, image.format, entry.meta)
    return _Checked(entry, row, stamp)


def _commit(catalog: Catalog, checked: Sequence[_Checked], source: str, tally: _Tally) -> None:
    """Record what is done so far, each kind in one transaction."""
    usable = [(one.result, one.stamp) for one in checked if isinstance(one.result, ImageRow) and one.stamp]
    bad = [one.result for one in checked if isinstance(one.result, Quarantined)]
    known = {str(one.entry.path): one.entry.meta for one in checked if one.result is None}
    if usable:
        n_new = catalog.add_images(usable, source)
        tally.n_new += n_new
        tally.n_doubled += len(usable) - n_new
    if bad:
        catalog.add_quarantined(bad, source)
        tally.quarantined.update(one.reason for one in bad)
    if known:
        catalog.see_again(known, source)
        tally.n_known += len(known)


def _nothing_usable(catalog: Catalog, source: Source, tally: _Tally) -> DataError:
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(tally.quarantined.items()))
    first = catalog.quarantined()[0]
    return DataError(f"none of the {len(source.entries)} files is a usable image", where=source.name,
                     found=f"{reasons}; the first is {first.path} ({first.detail})")  # fmt: skip


def _add_labels(catalog: Catalog, source: Source, labels: Path | None) -> int:
    """Record the labels that the source carries, then those of the label file, which count for more."""
    read: list[Label] = []
    if source.annotations or labels or any(entry.label for entry in source.entries):
        ids_by_path = catalog.resolve()
        lookup = ImageLookup(ids_by_path, (one.path for one in catalog.quarantined()))
        read += to_labels(_carried_labels(source, ids_by_path), source=source.name)
        read += read_labels(source.annotations, lookup) if source.annotations else []
        read += read_labels(labels, lookup) if labels else []
    if read:
        catalog.add_labels(read)
    return len(read)


def _carried_labels(source: Source, ids_by_path: Mapping[str, str]) -> Iterator[Opinion]:
    for entry in source.entries:
        path = str(entry.path)
        if entry.label and path in ids_by_path:  # the others are in quarantine, which names them
            yield Opinion(path, entry.path.name, ids_by_path[path], entry.label)
