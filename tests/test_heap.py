"""A forward pass that is repeated asks the system for no fresh pages while the heap is kept."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from activesel.heap import kept_heap, trim_heap

BLOCK = 48 << 20  # above every limit of glibc's own rule
FRESH = BLOCK // resource.getpagesize()


def count_faults(repeats: int) -> int:
    """Return the pages that the system cleared for so many blocks that were freed at once."""
    for _ in range(9):  # the first seven leave their heads in a cache, so that the next does not fit in their place
        torch.ones(BLOCK, dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(repeats):
        torch.ones(BLOCK, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def use_of_memory() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def run_alone() -> None:
    """What the test runs in a process of its own, whose heap nobody else has used."""
    assert count_faults(4) > FRESH, "the system's own rule keeps such blocks: nothing to gain here"
    with kept_heap():
        with kept_heap():
            pass
        assert count_faults(4) < FRESH / 10, "freed blocks were given back"
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(count_faults(4)))
        thread.start()
        thread.join()
        assert found[0] < FRESH / 10, "a thread's freed blocks were given back"
        held = use_of_memory()
    assert use_of_memory() < held - BLOCK // 2, "freed memory stayed after the block's end"


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the setting")
def test_freed_blocks_are_used_again_and_given_back_at_the_end() -> None:
    script = "from tests.test_heap import run_alone; run_alone()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_error_ends_the_block() -> None:
    with pytest.raises(ZeroDivisionError), kept_heap():
        _ = 1 / 0
    trim_heap()  # and may be called at any time
