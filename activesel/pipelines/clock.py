"""Seconds of each stage of a pipeline."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Clock:
    """Tells the time between laps. seconds: stage -> seconds, in the order in which the stages ended."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage: what passed since the last one ended is its time."""
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self._last, 3)
        self._last = now

    @contextlib.contextmanager
    def pause(self, stage: str) -> Iterator[None]:
        """Count a stage inside another on its own, and leave it out of that one."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + spent, 3)
            self._last += spent
