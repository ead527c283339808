"""What this machine has and how fast it is: memory, a GPU, rates. Asked before long work, so in a blink."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.errors import UsageError
from activesel.tensors import rough_type

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4,
         "ki": 1024, "mi": 1024**2, "gi": 1024**3, "ti": 1024**4}  # fmt: skip
LEAST_LIMIT = 10**6
# Version 2 and version 1 of control groups, as a container sees its own; "max" or 2**63 where there is no limit.
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Rates:
    """Products of the rough type and in float32, and memory copies: operations and bytes per second."""

    rough: float
    exact: float
    copy: float


TYPICAL = Rates(rough=2e11, exact=1e11, copy=1e10)  # two server cores; where nothing is worth measuring


def parse_bytes(text: str | int, where: str) -> int:
    """Read "4GB", "900 MB", "1.5GiB" or a number of bytes; ``where`` names it in the error.

    >>> parse_bytes("1.5 GiB", "memory_limit")
    1610612736
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", str(text), re.IGNORECASE)
    n_bytes = int(float(found[1]) * UNITS[(found[2] or "").lower()]) if found else 0
    if n_bytes < LEAST_LIMIT:
        raise UsageError("cannot read an amount of memory", where=where, found=repr(text),
                         expected="1 MB or more, such as 4GB, 900MB or 1.5GiB")  # fmt: skip
    return n_bytes


def show_bytes(n_bytes: float) -> str:
    """Write bytes as a person would: 1.3 GB, 240 MB; rounded up, so that it is enough.

    >>> show_bytes(1_301_000_000), show_bytes(239_100_000)
    ('1.4 GB', '240 MB')
    """
    if n_bytes >= 1e9:
        return f"{np.ceil(n_bytes / 1e8) / 10:.1f} GB"
    return f"{int(np.ceil(n_bytes / 1e6))} MB"


def read_memory_limit() -> int | None:
    """Return the bytes that a process may use here: what is free, or what its container may have; None = not known."""
    found = [int(text) for text in map(_read, CGROUP_LIMITS) if text.strip().isdigit()]
    free = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    if free:
        found.append(int(free[1]) * 1024)
    elif "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf8")
    except OSError:
        return ""


def pick_device(name: str, where: str) -> str:
    """Return "cpu" or "cuda:0" for auto, cpu, cuda or cuda:i.

    Raises:
        UsageError: another name, or a GPU that is not here.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError("cannot read a device", where=where, found=repr(name), expected="auto, cpu, cuda or cuda:1")
    if name == "cpu":
        return name
    import torch

    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if n_devices else "cpu"
    index = int(name.partition(":")[2] or 0)
    if index >= n_devices:
        raise UsageError("no such device", where=where, found=name, hint="set it to auto or cpu",
                         expected=f"one of the {n_devices} CUDA devices seen here")  # fmt: skip
    return f"cuda:{index}"


@functools.cache
def measure_rates(device: str) -> Rates:
    """Measure the rates of one device, in 0.2 s; once in a process."""
    import torch

    left, right = torch.ones((1024, 256), device=device), torch.ones((256, 1024), device=device)
    rough_left, rough_right = (part.to(rough_type(part.device)) for part in (left, right))
    n_operations = 2.0 * 1024 * 256 * 1024
    rough = n_operations / _quickest(lambda: rough_left @ rough_right, device)
    exact = n_operations / _quickest(lambda: left @ right, device)
    source = torch.ones(1 << 22, device=device)
    target = torch.empty_like(source)
    copied = source.numel() * source.element_size() / _quickest(lambda: target.copy_(source), device)
    return Rates(rough, exact, copied)


def _quickest(work: Callable[[], object], device: str, at_most_s: float = 0.05) -> float:
    """Return the seconds of the quickest of several runs."""
    import torch

    best, started = np.inf, time.perf_counter()
    while best == np.inf or time.perf_counter() - started < at_most_s:
        before = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - before)
    return float(best)
