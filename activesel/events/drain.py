"""From the collector's log into the catalog: in the background while events are collected, or all that was left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from activesel.catalog.events import Stored
from activesel.errors import ActiveselError
from activesel.events.log import EventLog
from activesel.events.reading import Read

STEP = 2000  # events that one transaction takes: large enough to be fast, short enough to let others write
_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_LOG = logging.getLogger(__name__)

Store = Callable[[Read], Stored]


@dataclass
class Drained:
    """What a drain did so far. complaint: why the last step failed, empty where it did not."""

    n_events: int = 0
    n_new: int = 0
    n_dead: int = 0
    complaint: str = ""


def drain_step(log: EventLog, store: Store, done: Drained) -> bool:
    """Store what comes next in the log, let go of it, and tell whether more may follow.

    A process that is killed between the two stores it again, which changes nothing.
    """
    read, place = log.take(STEP)
    if read.events or read.dead:
        stored = store(read)
        done.n_events += len(read.events)
        done.n_new += stored.n_new
        done.n_dead += stored.n_dead
    log.release(place)
    return len(read.events) + len(read.dead) >= STEP


class Drainer:
    """A thread that drains until it is stopped, and then the rest; a catalog that fails is asked again, ever later."""

    def __init__(self, log: EventLog, store: Store) -> None:
        self._log, self._store = log, store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-drain", daemon=True)
        self.done = Drained()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Drain what is left, as far as the catalog takes it, and end; what it does not stays in the log."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = _PAUSE_S
        while True:
            stopping = self._stop.is_set()
            try:
                while drain_step(self._log, self._store, self.done):
                    pass
                self.done.complaint, pause_s = "", _PAUSE_S
            except Exception as error:  # noqa: BLE001 - whatever it is, the log keeps the events and /health tells
                self.done.complaint, pause_s = str(error), min(2 * pause_s, _LONGEST_PAUSE_S)
                _LOG.warning("events wait in the log: %s", error, exc_info=not isinstance(error, ActiveselError))
            if stopping:
                return
            self._stop.wait(pause_s)
