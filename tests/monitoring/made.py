"""Signals made in code: a line where all is well, with labels exchanged."""

from __future__ import annotations

import sys
from dataclasses import replace

from activesel.monitoring import Signals
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from monitored.lines import NAMES, clean, labelled, shipped_limits

LIMITS = shipped_limits()

__all__ = ["LIMITS", "NAMES", "clean", "labelled", "with_labels"]


def with_labels(seed: int, **fields: object) -> Signals:
    """The clean line with other labels."""
    signals = clean(seed)
    assert signals.labelled is not None
    return replace(signals, labelled=replace(signals.labelled, **fields))  # type: ignore[arg-type]
