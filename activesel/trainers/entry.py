"""Call a training function of the user's in a process of its own: python -m activesel.trainers.entry MODULE:FUNCTION
MANIFEST."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path


def main(entry: str, manifest: str) -> None:
    """Import the module, the working folder first on the path, and call the function with the manifest's path."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - sys.path holds texts
    module, _, name = entry.partition(":")
    getattr(importlib.import_module(module), name)(Path(manifest))


if __name__ == "__main__":
    main(*sys.argv[1:])
