"""Memory that is freed stays with the process, or every picture waits for fresh pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from synth.memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
pictures = [np.ones((1 << 20) * 3, np.uint8) for _ in range(10)]
del pictures
before = faults()
for _ in range(5):
    pictures = [np.ones((1 << 20) * 3, np.uint8) for _ in range(10)]
    del pictures
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a rule of glibc's allocator")
def test_pictures_that_are_freed_and_made_again_fault_in_no_pages() -> None:
    """In processes of their own: the limits of this one's allocator have risen long ago."""
    faults = {
        how: int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "given back")
    }
    assert faults["kept"] < 0.1 * faults["given back"]
