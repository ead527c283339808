"""Puts scripts/ on the path, as `python scripts/...` does."""

from __future__ import annotations

import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
