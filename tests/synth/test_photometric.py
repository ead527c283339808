"""Photometric changes: seeded, the same for patch and ground, and nothing asks the internet."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from synth.photometric import vary


def test_patch_and_ground_change_alike_and_by_seed() -> None:
    ground = np.full((6, 6, 3), 120, np.float32)
    seen = set()
    for seed in range(8):
        patch, changed = vary(ground, ground, seed)
        np.testing.assert_array_equal(patch, changed)
        np.testing.assert_array_equal(changed, vary(ground, ground, seed)[1])
        seen.add(round(float(changed[0, 0, 0]), 3))
    assert len(seen) > 3


def test_importing_it_opens_no_connection() -> None:
    """Plants are offline, and others do not like to be called on."""
    script = (
        "import socket, urllib.request\n"
        "def refuse(*a, **k): raise SystemExit('asked the network')\n"
        "socket.create_connection = socket.socket.connect = urllib.request.urlopen = refuse\n"
        "from synth.photometric import transforms; transforms()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
