"""Status: counts by hand, and the next step at every stage of the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.pipelines.embed import open_store
from activesel.pipelines.ingest import ingest
from activesel.pipelines.labels import import_labels
from activesel.pipelines.status import read_status
from activesel.workspace import Workspace, create_workspace
from tests.cli.samples import write_labels, write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = write_photos(tmp_path / "photos", 8)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "empty.png").touch()
    (folder / "copy.png").write_bytes((folder / "photo-00.png").read_bytes())
    return folder


@pytest.fixture
def workspace(tmp_path: Path, photos: Path) -> Workspace:
    made = create_workspace(tmp_path / "job")
    ingest(made, str(photos))
    return made


def add_batch(workspace: Workspace, batch_id: str, n_picks: int) -> None:
    with Catalog.open(workspace.catalog_path) as catalog:
        ids = [row.image_id for row in catalog.images()[:n_picks]]
        kinds = ["train"] * (n_picks - 1) + ["evaluation"]
        catalog.batches.add(batch_id, ids, kinds, f"2026-01-0{batch_id[-1]}T00:00:00")


def test_counts(workspace: Workspace, photos: Path, tmp_path: Path) -> None:
    import_labels(workspace, write_labels(tmp_path / "labels.csv", photos, 5))
    with Catalog.open(workspace.catalog_path) as catalog:
        ids = [row.image_id for row in catalog.images()[:3]]
    open_store(workspace).append(ids, np.ones((3, 4), np.float16))
    found = read_status(workspace)
    assert (found.n_images, found.n_files, found.n_labelled, found.n_vectors) == (8, 9, 5, 3)
    assert found.n_by_class == {"plain": 2, "stripe": 1, "dot": 1, "dark": 1}
    assert sum(found.n_by_reason.values()) == 2
    assert found.n_by_reason["empty"] == 1
    assert found.batches == ()


def test_batches_and_labels_since(workspace: Workspace, photos: Path, tmp_path: Path) -> None:
    add_batch(workspace, "0001", 4)
    (one,) = read_status(workspace).batches
    assert (one.n_picks, one.n_labelled, one.n_by_kind) == (4, 0, {"train": 3, "evaluation": 1})
    assert one.strategy.startswith("unknown"), "its files are not there, and that is no reason to fail"
    import_labels(workspace, write_labels(tmp_path / "labels.csv", photos, 8))
    (one,) = read_status(workspace).batches
    assert (one.n_labelled, read_status(workspace).n_evaluation) == (4, 1)


def test_next_step_through_the_loop(workspace: Workspace, photos: Path, tmp_path: Path) -> None:
    assert "activesel ingest IMAGES" in read_status(create_workspace(tmp_path / "new")).next_step
    assert "activesel select" in read_status(workspace).next_step
    add_batch(workspace, "0001", 4)
    assert read_status(workspace).next_step.startswith("label 4 images of batch 0001")
    import_labels(workspace, write_labels(tmp_path / "labels.csv", photos, 8))
    assert read_status(workspace).next_step.startswith("every image has a label")
