"""Selecting from a workspace: crashes leave nothing half done, and a repeat is the same."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.catalog.batches import Batches
from activesel.config import load_config
from activesel.errors import UnreachableError
from activesel.pipelines.select import SelectRequest, select_batch
from tests.cli.samples import tiny_backbone
from tests.pipelines.workspaces import (
    Job,
    make_job,
    read_csv,
)

pytestmark = pytest.mark.usefixtures("plain_pages")

NO_CAP = "duplicates.group_cap=0"


# Crashes


def test_killed_between_the_folder_and_the_record(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Batches, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            job.select(6, "selection.explore=0.5")
    assert job.batch_folders == ["0001"]
    orphan = read_csv(job.workspace.batches_dir / "0001" / "batch.csv")
    (job.workspace.batches_dir / "0001" / "scribble.txt").write_text("not ours")
    again = job.select(6, "selection.explore=0.5")
    assert (again.batch_id, again.reused) == ("0001", False)
    assert read_csv(again.folder / "batch.csv") == orphan
    assert sorted(path.name for path in again.folder.iterdir()) == [
        "batch.csv", "batch.json", "report.html", "report.npz", "stands_for.csv",
    ]  # fmt: skip
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert [batch.batch_id for batch in catalog.batches.read()] == ["0001"]


def test_drafts_of_killed_runs_are_cleared(job: Job) -> None:
    for name in (".0001.draft", ".0007.draft"):
        (job.workspace.batches_dir / name).mkdir(parents=True)
        (job.workspace.batches_dir / name / "batch.json").write_text("{")
    job.select(5)
    assert job.batch_folders == ["0001"]


@pytest.mark.parametrize("victim", ["batch.json", "batch.csv", "stands_for.csv", "report.npz", "report.html"])
def test_a_full_disk_leaves_no_half_batch(job: Job, monkeypatch: pytest.MonkeyPatch, victim: str) -> None:
    real = os.replace

    def fail_on_victim(source: str, target: Path) -> None:
        if Path(target).name == victim:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_on_victim)
        with pytest.raises(UnreachableError, match="No space left on device"):
            job.select(5)
    assert job.batch_folders == []
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert catalog.batches.read() == []
    assert job.select(5).batch_id == "0001"


def test_a_folder_that_cannot_be_renamed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Path, _target: Path) -> Path:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(UnreachableError, match="Disk quota exceeded"):
        job.select(5)
    assert job.batch_folders == []


# Determinism


def comparable(folder: Path, photos: Path) -> tuple[list[dict[str, str]], list[dict[str, str]], dict[str, Any]]:
    """What must be equal in two batches: everything but when and where."""
    tables = [read_csv(folder / name) for name in ("batch.csv", "stands_for.csv")]
    for row in (*tables[0], *tables[1]):
        row["path"] = str(Path(row["path"]).relative_to(photos))
    stored = json.loads((folder / "batch.json").read_text())
    for key in ("created", "command", "request_key"):
        del stored[key]
    for pick in stored["picks"]:
        pick["path"] = str(Path(pick["path"]).relative_to(photos))
    return tables[0], tables[1], stored


def test_order_and_place_of_the_files_do_not_matter(tmp_path: Path) -> None:
    shuffled = [int(i) for i in np.random.default_rng(5).permutation(40)]
    here = make_job(tmp_path / "here")
    there = make_job(tmp_path / "a longer name" / "there", order=shuffled)
    there = replace(there, ids_file=here.ids_file, embeddings=here.embeddings)
    results = []
    for job in (here, there):
        job.label(range(8))
        settings = ("selection.explore=0.2", "selection.evaluation=0.2")
        results.append(comparable(job.select(10, *settings, quotas=("class=equal",)).folder, job.photos))
    assert results[0] == results[1]


def test_order_does_not_matter_to_a_backbone(tmp_path: Path) -> None:
    settings = [word for word in tiny_backbone(tmp_path) if word != "--set"]
    tables = []
    for name, order in (("one", range(12)), ("two", range(11, -1, -1))):
        job = make_job(tmp_path / name, 12, order=list(order))
        result = select_batch(replace(job.workspace, config=load_config(None, settings)), SelectRequest(4))
        tables.append(comparable(result.folder, job.photos))
    assert tables[0] == tables[1]


def test_another_seed_other_random_picks(job: Job) -> None:
    first = job.rows(job.select(8, "selection.strategy=random"))
    again = job.rows(
        job.select(8, "selection.strategy=random", "seed=1", source=str(job.photos.parent / "manifest.csv"))
    )
    assert first != again
