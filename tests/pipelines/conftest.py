"""Fixtures of the select tests: a workspace of forty images with vectors of its own, and reports left plain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.workspaces import Job, fake_pages, make_job


@pytest.fixture
def plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the map and the page, which take longer than the selection."""
    fake_pages(monkeypatch)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path)
