"""Workspaces for the tests of the pipelines, and reports left plain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.pipelines.embed import open_store
from tests.pipelines.tool_plant import Plant, make_plant
from tests.pipelines.workspaces import PLAIN, Job, fake_pages, make_job


@pytest.fixture
def plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the map and the page, which take longer than the selection."""
    fake_pages(monkeypatch)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path)


@pytest.fixture
def clusters(tmp_path: Path) -> Job:
    """Eighty images in four clear clusters, with vectors; opened with PLAIN."""
    rng = np.random.default_rng(0)
    vectors = np.eye(12)[np.arange(80) % 4] + 0.1 * rng.normal(size=(80, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    made = make_job(tmp_path, 80, vectors=vectors)
    open_store(made.open(*PLAIN)).append(list(made.ids), vectors.astype(np.float16))
    return made


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return make_plant(tmp_path)
