"""A job with a batch and people who label it: true kinds, each person's errors, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from activesel.annotations import Annotation, Role, Task
from activesel.catalog import Catalog
from activesel.workspace import Workspace
from tests.pipelines.workspaces import Job, fake_pages, make_job

BATCH = "0001"


def make_batch(root: Path, monkeypatch: pytest.MonkeyPatch, n: int = 40, budget: int = 24, **more: object) -> Job:
    """A job of n images whose batch 0001 has ``budget`` of them."""
    fake_pages(monkeypatch)
    job = make_job(root, n, **more)  # type: ignore[arg-type]
    job.select(budget)
    return job


def picks_of(job: Job) -> list[str]:
    with Catalog.open(job.workspace.catalog_path) as catalog:
        return list(catalog.batches.read()[0].image_ids)


def say(
    workspace: Workspace, annotator: str, names: Mapping[str, str | None], role: Role = Role.annotator, **more: object
) -> None:
    """Record one opinion an image; None = skipped."""
    given = [Annotation(i, annotator, role, name, skipped="" if name else "cannot tell", **more)  # type: ignore[arg-type]
             for i, name in names.items()]  # fmt: skip
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.annotations.add(given)


def assign(workspace: Workspace, tasks: Sequence[Task]) -> None:
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.annotations.assign(BATCH, tasks)


def err(truth: Mapping[str, str], share: float, seed: int, wrong: str = "free") -> dict[str, str]:
    """Return the truth with so many of it called ``wrong``."""
    rng = np.random.default_rng(seed)
    return {i: (wrong if rng.random() < share else name) for i, name in truth.items()}
