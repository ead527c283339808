"""What was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def trim_heap() -> None:
    """Return freed memory to the system that lies in pieces too small to go by themselves.

    Lists that grew row by row leave 100 bytes a row of such pieces. Only glibc keeps them, and only it has the call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
