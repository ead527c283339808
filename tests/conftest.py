"""Fixtures that several test files need: the real images where they are, and toy vectors with a known structure."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real defect images; skips the test where there is none."""
    folder = Path(os.environ.get("ACTIVESEL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "magnetic_tile" / "labels.csv").is_file():
        pytest.skip(f"real defect images are not at {folder}; set ACTIVESEL_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
