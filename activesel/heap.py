"""What the C library does with freed memory: keep it for the next forward pass, or give it back to the system.

Only glibc has these calls (mallopt(3), malloc_trim(3)); elsewhere nothing happens here.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8  # malloc.h
_KEPT = {_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: 1 << 30}
# Where glibc's own rule ends up once a large block was freed; mallopt ends that rule. The number of arenas stays.
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}
_changing = threading.Lock()
_holders = 0


def trim_heap() -> None:
    """Return freed memory to the system that lies in pieces too small to go by themselves.

    Lists that grew row by row leave 100 bytes a row of such pieces.
    """
    trim = _find("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def kept_heap() -> Iterator[None]:
    """Let freed memory stay with the process until the block ends, up to 1 GiB beyond what is in use.

    A forward pass asks for the same big blocks again and again. By its own rule glibc hands them back to the system
    after each layer, which must clear thousands of fresh pages an image: a quarter to half of a pass's time on a CPU
    (docs/performance.md). The setting is the whole process's; blocks may nest and may be of several threads. All
    threads share one arena, since those of threads end at 64 MB and then map pages, too.
    """
    _hold(1)
    try:
        yield
    finally:
        _hold(-1)


def _hold(change: int) -> None:
    global _holders
    with _changing:
        before, _holders = _holders, _holders + change
        if bool(before) == bool(_holders):
            return
        setting = _find("mallopt")
        if setting is None:
            return
        for parameter, value in (_KEPT if _holders else _USUAL).items():
            setting(parameter, value)
    if not _holders:
        trim_heap()


def _find(name: str) -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
