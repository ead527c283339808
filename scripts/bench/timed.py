"""Time and memory of one piece of work inside the measured process."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SHORT_S = 0.5  # runs shorter than this are repeated, and the quickest counts
REPEATS = 5


class Timed:
    """Seconds by the clock and by the processor, and the peak resident memory, inputs included."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self.figures: dict[str, Any] = {}

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        _forget_peak()
        signal.setitimer(signal.ITIMER_REAL, self._limit_s)  # its default action ends the process
        clock, cpu = time.perf_counter(), _cpu_s()
        try:
            yield
        finally:
            seconds, cpu_s = time.perf_counter() - clock, _cpu_s() - cpu
            signal.setitimer(signal.ITIMER_REAL, 0)
        if seconds < self.figures.get("seconds", float("inf")):
            self.figures |= {"seconds": seconds, "cpu_s": cpu_s}
        self.figures["peak_gib"] = max(_peak_gib(), self.figures.get("peak_gib", 0.0))

    def repeat(self, work: Callable[[], Any]) -> Any:
        """Measure ``work``; a short one several times. Returns what it returned."""
        for _ in range(REPEATS):
            with self.measure():
                result = work()
            if self.figures["seconds"] > SHORT_S:
                break
        return result


def pass_over(arrays: list[npt.NDArray[Any]]) -> float:
    """Seconds to copy the arrays once, the best of five."""
    import torch

    best = 0.0
    for array in arrays:
        source = torch.from_numpy(np.array(array) if not array.flags.writeable else array)
        target = torch.empty_like(source)
        seconds = []
        for _ in range(6):
            started = time.perf_counter()
            target.copy_(source)
            seconds.append(time.perf_counter() - started)
        best += min(seconds[1:])
    return best


def _cpu_s() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_gib() -> float:
    # Not ru_maxrss where it can be helped: on Linux that starts from what the parent held when it forked.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
