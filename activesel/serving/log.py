"""The log of predictions: CloudEvents as JSON Lines, which the events collector reads and monitoring watches.

A line is handed to the operating system before its answer leaves, so that a killed process loses none; what a power
cut may lose is bounded by how often the file is forced onto the disk. A process begins a file of its own and never
touches an older one, whose last line may be cut short.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activesel.pipelines.prediction_log import EVENT_TYPE

_LOG = logging.getLogger(__name__)


def prediction_event(source: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a CloudEvent (cloudevents.io, 1.0) of one prediction; data: with prediction_id and image_id."""
    return {
        "specversion": "1.0", "type": EVENT_TYPE, "source": source, "id": data["prediction_id"],
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "subject": data["image_id"],
        "datacontenttype": "application/json", "data": data,
    }  # fmt: skip


class PredictionLog:
    """Appends events; a new file from ``max_bytes`` on; forced onto the disk every ``sync_s`` seconds if need be."""

    def __init__(self, folder: Path, *, max_bytes: int, sync_s: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes = folder, max_bytes
        self._writing = threading.Lock()
        self._handle, self._n_bytes, self._number, self._dirty = -1, 0, 0, False
        self.n_lost = 0
        self._run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}"
        self._ended = threading.Event()
        self._syncing = threading.Thread(target=self._sync_often, args=(sync_s,), name="log-sync", daemon=True)
        self._syncing.start()

    def write(self, event: Mapping[str, Any]) -> bool:
        """Append one event; False, and counted, where the disk refuses: an answer is worth more than its log."""
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._writing:
            try:
                if self._handle < 0 or self._n_bytes >= self._max_bytes:
                    self._open_next()
                written = os.write(self._handle, line)
                self._n_bytes += written
                self._dirty = True
                if written < len(line):
                    raise OSError("the disk took a part of a line")
            except OSError as error:
                if not self.n_lost:
                    _LOG.error("the log of predictions cannot be written: %s", error)
                self.n_lost += 1
                self._close()  # the next line begins a file, so that a part of this one spoils no other
                return False
        return True

    def sync(self) -> None:
        with self._writing:
            handle = os.dup(self._handle) if self._dirty and self._handle >= 0 else -1
            self._dirty = False
        if handle >= 0:
            try:
                os.fsync(handle)  # outside the lock: answers do not wait for the disk
            except OSError as error:
                _LOG.error("the log of predictions is not on the disk: %s", error)
            finally:
                os.close(handle)

    def close(self) -> None:
        self._ended.set()
        self._syncing.join()
        self.sync()
        with self._writing:
            self._close()

    def _open_next(self) -> None:
        self._close()
        self._number += 1
        path = self._folder / f"{self._run_id}-{self._number:04d}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        self._n_bytes = 0

    def _close(self) -> None:
        if self._handle >= 0:
            try:
                os.fsync(self._handle)
            except OSError as error:
                _LOG.error("the log of predictions is not on the disk: %s", error)
            os.close(self._handle)
        self._handle, self._dirty = -1, False

    def _sync_often(self, sync_s: float) -> None:
        while not self._ended.wait(sync_s):
            self.sync()
