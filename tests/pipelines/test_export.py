"""Exports of a batch: what they hold, and that what we write we can read again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.pipelines.export import FORMATS, export_batch, find_batch
from activesel.pipelines.ingest import ingest
from activesel.pipelines.labels import import_labels
from activesel.workspace import Workspace, create_workspace, write_json
from tests.cli.samples import KINDS, write_labels
from tests.pipelines.handed_out import N_PICKS, make_batch


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_batch(tmp_path)


@pytest.fixture
def photos(workspace: Workspace) -> Path:
    return workspace.root.parent / "photos with, a comma"


def paths_of(workspace: Workspace) -> list[str]:
    stored = json.loads((workspace.batches_dir / "0001" / "batch.json").read_text())
    return [pick["path"] for pick in stored["picks"]]


def ingested_paths(root: Path, source: Path) -> set[str]:
    other = create_workspace(root)
    summary = ingest(other, str(source))
    assert (summary.n_new, summary.n_quarantined) == (N_PICKS, 0)
    with Catalog.open(other.catalog_path) as catalog:
        return {row.path for row in catalog.images()}


@pytest.mark.parametrize("name", ["csv", "coco"])
def test_an_export_can_be_ingested(workspace: Workspace, tmp_path: Path, name: str) -> None:
    out = tmp_path / "elsewhere" / f"batch.{'csv' if name == 'csv' else 'json'}"
    assert export_batch(workspace, "0001", name, out) == N_PICKS
    assert ingested_paths(tmp_path / "other", out) == set(paths_of(workspace))


def test_coco_without_labels(workspace: Workspace, tmp_path: Path) -> None:
    export_batch(workspace, "0001", "coco", tmp_path / "batch.json")
    document = json.loads((tmp_path / "batch.json").read_text())
    assert [image["file_name"] for image in document["images"]] == paths_of(workspace), "in the order of the picks"
    assert {(image["width"], image["height"]) for image in document["images"]} == {(48, 48)}
    assert len({image["id"] for image in document["images"]}) == N_PICKS
    assert (document["annotations"], document["categories"]) == ([], [])


def test_coco_labels_survive_the_round_trip(workspace: Workspace, photos: Path, tmp_path: Path) -> None:
    import_labels(workspace, write_labels(tmp_path / "labels.csv", photos, 8))
    out = tmp_path / "batch.json"
    export_batch(workspace, "0001", "coco", out)
    assert [one["name"] for one in json.loads(out.read_text())["categories"]] == sorted(KINDS)
    other = create_workspace(tmp_path / "other")
    ingest(other, str(out))
    with Catalog.open(other.catalog_path) as there, Catalog.open(workspace.catalog_path) as here:
        picked = set(here.batches.read()[0].image_ids)
        labels = {image_id: label.name for image_id, label in here.labels().items() if image_id in picked}
        assert {image_id: label.name for image_id, label in there.labels().items()} == labels


def test_list_csv_json(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("list", "csv", "json"):
        assert export_batch(workspace, "0001", name, tmp_path / name) == N_PICKS
    assert (tmp_path / "list").read_text().splitlines() == paths_of(workspace)
    assert all(Path(line).is_absolute() for line in (tmp_path / "list").read_text().splitlines())
    with (tmp_path / "csv").open(newline="") as stream:
        assert [row["path"] for row in csv.DictReader(stream)] == paths_of(workspace)
    assert json.loads((tmp_path / "json").read_text())["batch_id"] == "0001"


def test_the_newest_batch_is_meant(workspace: Workspace) -> None:
    with Catalog.open(workspace.catalog_path) as catalog:
        ids = [row.image_id for row in catalog.images()[:2]]
        catalog.batches.add("0002", ids, ["train", "explore"], "2026-01-02T00:00:00")
    assert find_batch(workspace, None) == "0002"
    assert find_batch(workspace, "1") == find_batch(workspace, "0001") == "0001"


@pytest.mark.parametrize("name", ["0009", "../0001", "/etc", "", "0001/../0001"])
def test_a_name_that_no_batch_has(workspace: Workspace, name: str) -> None:
    with pytest.raises(DataError, match="there is no batch"):
        find_batch(workspace, name)


def test_wrong_targets(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format"):
        export_batch(workspace, "0001", "xml", tmp_path / "x")
    with pytest.raises(UsageError, match="is a folder"):
        export_batch(workspace, "0001", "csv", tmp_path)
    (workspace.batches_dir / "0001" / "batch.csv").unlink()
    with pytest.raises(DataError, match="is gone"):
        export_batch(workspace, "0001", "csv", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert set(FORMATS) == {"csv", "json", "coco", "list"}


def test_an_empty_workspace_has_no_batch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no batch yet"):
        find_batch(create_workspace(tmp_path), None)


def test_a_list_cannot_hold_a_line_break(workspace: Workspace, tmp_path: Path) -> None:
    file = workspace.batches_dir / "0001" / "batch.json"
    stored = json.loads(file.read_text())
    stored["picks"][1]["path"] = "/photos/two\nlines.png"
    write_json(file, stored)
    with pytest.raises(DataError, match="line break"):
        export_batch(workspace, "0001", "list", tmp_path / "out.txt")
    assert not (tmp_path / "out.txt").exists()
