"""What labels and checks labels starts without torch, which takes seconds."""

from __future__ import annotations

import subprocess
import sys

STORIES = ("review", "adjudicate", "qc", "qc_files", "looks", "next_opinions", "routes", "export", "status")


def test_stories_of_labels_import_no_torch() -> None:
    names = [f"activesel.pipelines.{name}" for name in STORIES]
    code = f"import importlib, sys\nfor name in {names!r}:\n importlib.import_module(name)\n" \
           " assert 'torch' not in sys.modules, name\n"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
