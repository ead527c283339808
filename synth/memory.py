"""Freed memory is kept for the next picture: fresh pages cost more than the picture that is written to them.

A copy of a 512 x 512 picture takes 0.6 ms into pages that the system must clear first, 0.1 ms into used ones.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MOST_BYTES = 31 << 20  # glibc's rule stops at 32 MiB


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Let the C library keep up to twice ``MOST_BYTES`` that are freed; once for a process.

    glibc gives blocks below a limit from memory that it keeps, and raises the limit to the largest block freed so far
    (mallopt(3), M_MMAP_THRESHOLD). Nothing is written to this one, so it costs nothing; elsewhere it has no effect.
    """
    np.empty(MOST_BYTES, np.uint8)
