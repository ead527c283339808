"""Standard augmentation: seeded, and its library asks nobody for a newer version."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from activesel.augment import augment


def test_the_seed_decides() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (24, 30, 3)).astype(np.uint8)
    changed = [augment(picture, seed) for seed in (1, 1, 2)]
    assert changed[0].shape == picture.shape
    assert np.array_equal(changed[0], changed[1])
    assert not np.array_equal(changed[0], changed[2])


def test_importing_it_opens_no_connection() -> None:
    """Plants are offline, and others do not like to be called on."""
    script = (
        "import socket, urllib.request\n"
        "def refuse(*a, **k): raise SystemExit('asked the network')\n"
        "socket.create_connection = socket.socket.connect = urllib.request.urlopen = refuse\n"
        "from activesel.augment import _changes; _changes()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
