"""Defect-aware vectors in a workspace: one bank for all rounds, whether or not a run was killed on the way."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.config import load_config
from activesel.embedding import Backbone
from activesel.embedding.banks import read_bank
from activesel.embedding.novelty_map import ODD_FROM
from activesel.errors import DataError
from activesel.pipelines import bank as bank_pipeline
from activesel.pipelines import report as report_pipeline
from activesel.pipelines.bank import bank_path, vectors_key
from activesel.pipelines.batch_file import read_batch
from activesel.pipelines.embed import embed, load_novelty, load_vectors, open_store
from activesel.pipelines.ingest import ingest
from activesel.pipelines.select import SelectRequest, select_batch
from activesel.records import ImageRow, Label
from activesel.report.data import ReportData
from activesel.workspace import Workspace, create_workspace
from tests.embedding import tiny_backbone
from tests.pipelines.test_embed import ROOT, SETTINGS, read_rows, write_rows

AWARE = (*SETTINGS, "embedding.pooling=defect-aware")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "line-4", AWARE)


def ids_of(rows: list[ImageRow]) -> list[str]:
    return [row.image_id for row in rows]


def reopen(workspace: Workspace, *settings: str) -> Workspace:
    return replace(workspace, config=load_config(None, [*AWARE, *settings]))


def test_images_of_a_later_round_meet_the_bank_of_the_first(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 30)
    embed(workspace, rows[:20])
    bank, key = bank_path(workspace).read_bytes(), vectors_key(workspace)
    before = load_vectors(workspace, ids_of(rows[:20]))
    second = embed(workspace, rows)
    assert (second.n_new, second.n_known, second.key) == (10, 20, key)
    assert second.dim == 2 * tiny_backbone.DIM + tiny_backbone.DIM, "features, peaks, odd patches"
    assert bank_path(workspace).read_bytes() == bank
    np.testing.assert_array_equal(load_vectors(workspace, ids_of(rows[:20])), before)
    novelty = load_novelty(workspace, [*ids_of(rows), "0" * 32])
    assert np.isfinite(novelty[:30]).all()
    assert np.isnan(novelty[30]).all()
    assert ((novelty[:30, 1:] >= 0) & (novelty[:30, 1:] <= 1)).all()


def test_vectors_of_another_bank_never_meet(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 12)
    embed(workspace, rows[:6])
    one = vectors_key(workspace)
    bank_path(workspace).unlink()
    assert embed(workspace, rows).n_new == 12, "the old vectors do not count"
    assert vectors_key(workspace) != one
    assert vectors_key(reopen(workspace, "embedding.pooling=plain")) not in (one, vectors_key(workspace))
    assert bank_path(reopen(workspace, "embedding.tiles=4")) != bank_path(workspace)
    assert bank_path(reopen(workspace, "embedding.good=free")) != bank_path(workspace)


def test_the_bank_does_not_depend_on_the_order_of_the_images(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 9)
    keys = set()
    for name, order in (("one", rows), ("other", rows[::-1])):
        workspace = create_workspace(tmp_path / name, AWARE)
        embed(workspace, order)
        keys.add(vectors_key(workspace))
    assert len(keys) == 1


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_pool_of_a_few_images(number: int, workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", number)
    assert embed(workspace, rows).n_new == number
    vectors = load_vectors(workspace, ids_of(rows)).astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    assert np.isfinite(load_novelty(workspace, ids_of(rows))).all()


def test_images_of_one_colour(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for level in (0, 128, 255):
        assert cv2.imwrite(str(folder / f"{level:03d}.png"), np.full((40, 40), level, np.uint8))
    rows = read_rows(folder)
    embed(workspace, rows)
    assert np.isfinite(load_vectors(workspace, ids_of(rows)).astype(np.float32)).all()
    assert np.isfinite(load_novelty(workspace, ids_of(rows))).all()


def test_a_large_image_is_cut(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "line-4", (*AWARE, "embedding.tiles=9"))
    rows = write_rows(tmp_path / "images", 5)
    pixels = np.random.default_rng(9).integers(0, 256, (200, 240), np.uint8)  # of an input of 32 x 32
    pixels[150:158, 30:38] = 255
    assert cv2.imwrite(str(tmp_path / "images" / "large.png"), pixels)
    rows = read_rows(tmp_path / "images")
    assert embed(workspace, rows).n_new == 6
    x0, y0, x1, y1 = load_novelty(workspace, [rows[-1].image_id])[0, 1:]
    assert (x1 - x0) * (y1 - y0) < 1
    embed(reopen(workspace, "embedding.tiles=0"), rows)
    whole = load_vectors(reopen(workspace, "embedding.tiles=0"), ids_of(rows))
    assert (load_vectors(workspace, ids_of(rows))[-1] != whole[-1]).any()


def test_no_image_that_can_be_read(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 3)
    ingest(workspace, str(tmp_path / "images"))
    for row in rows:
        Path(row.path).write_bytes(b"")
    summary = embed(workspace, rows)
    assert (summary.n_new, {item.path for item in summary.failed}) == (0, {row.path for row in rows})
    assert not bank_path(workspace).exists()
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.add_labels([Label(row.image_id, "free", "test") for row in rows])
    with pytest.raises(DataError, match="no image with the label of good ones could be read"):
        embed(reopen(workspace, "embedding.good=free"), rows)


def test_a_bank_of_the_few_that_can_be_read(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank_pipeline, "BANK_IMAGES", 2)
    rows = write_rows(tmp_path / "images", 9)
    for row in rows[:8]:
        Path(row.path).unlink()
    summary = embed(workspace, rows)
    assert (summary.n_new, len(summary.failed)) == (1, 8)


def test_some_that_cannot_are_left_out_of_the_bank(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 6)
    Path(rows[2].path).unlink()
    summary = embed(workspace, rows)
    assert (summary.n_new, len(summary.failed)) == (5, 1)


def test_a_damaged_bank_is_one_clear_error(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 6)
    embed(workspace, rows)
    path = bank_path(workspace)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        DataError, match=r"cannot read the bank of patches.*delete it and run `activesel embed`"
    ) as error:
        embed(workspace, rows)
    assert str(path) in str(error.value)
    path.unlink()
    assert embed(workspace, rows).n_new == 0, "the same images make the same bank, and their vectors count again"


def test_only_good_images_make_the_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = create_workspace(tmp_path / "line-4", (*AWARE, "embedding.good=free"))
    write_rows(tmp_path / "images", 12)
    ingest(workspace, str(tmp_path / "images"))
    with Catalog.open(workspace.catalog_path) as catalog:
        rows = list(catalog.images())
        with pytest.raises(DataError, match=r"no image has the label of good ones; found 'free'"):
            embed(workspace, rows)
        labels = {rows[i].image_id: "free" if i < 4 else "crack" for i in range(8)}
        catalog.add_labels([Label(image_id, name, "test") for image_id, name in labels.items()])
    seen: list[str] = []
    read = bank_pipeline._read_patches

    def spy(workspace: Workspace, reader: Backbone, rows: list[ImageRow]) -> object:
        seen.extend(ids_of(rows))
        return read(workspace, reader, rows)

    monkeypatch.setattr(bank_pipeline, "_read_patches", spy)
    assert embed(workspace, rows[6:]).n_new == 6, "they need not be among the images to embed"
    assert set(seen) == {row.image_id for row in rows[:4]}


CHILD = """
import sys, time
from pathlib import Path
from activesel.embedding import stream
from activesel.pipelines.batch_file import read_batch
from activesel.pipelines.embed import embed
from activesel.workspace import create_workspace
from tests.pipelines.test_bank import AWARE
from tests.pipelines.test_embed import read_rows
decode = stream.decode_pixels
def slowly(*args, **options):
    time.sleep(0.005)  # so that the kill falls into the work, not before or after it
    return decode(*args, **options)
stream.decode_pixels = slowly
workspace = create_workspace(Path(sys.argv[1]), AWARE)
print("ready", flush=True)
embed(workspace, read_rows(Path(sys.argv[2])))
"""


def test_killed_while_the_bank_is_made_and_after(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 120)
    untouched = create_workspace(tmp_path / "untouched", AWARE)
    embed(untouched, rows)
    command = [sys.executable, "-c", CHILD, str(workspace.root), str(tmp_path / "images")]
    path = bank_path(workspace)
    for moment in ("bank", "shards"):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            if moment == "bank":
                time.sleep(0.1)
            while moment == "shards" and child.poll() is None and not list(path.parent.glob("*/shard-*")):
                time.sleep(0.002)
            assert child.poll() is None, "the child was done before it was killed"
            child.kill()
        assert path.exists() == (moment == "shards")
        path.parent.mkdir(exist_ok=True, parents=True)
        (path.parent / f".{path.name}.abc").write_bytes(b"half")  # as a kill inside the write leaves it
    known = len(open_store(workspace))
    assert 0 < known < 120
    summary = embed(workspace, rows)
    assert (summary.n_new, summary.n_known) == (120 - known, known)
    assert len(read_bank(path).patches)
    assert path.read_bytes() == bank_path(untouched).read_bytes()
    np.testing.assert_array_equal(load_vectors(workspace, ids_of(rows)), load_vectors(untouched, ids_of(rows)))
    np.testing.assert_array_equal(load_novelty(workspace, ids_of(rows)), load_novelty(untouched, ids_of(rows)))


def test_nothing_to_embed_makes_no_bank(workspace: Workspace) -> None:
    empty = embed(workspace, [])
    assert (empty.n_new, empty.dim) == (0, None)
    assert not bank_path(workspace).exists()


def test_the_report_shows_where_a_pick_is_odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = create_workspace(tmp_path / "line-4", (*AWARE, "duplicates.group_cap=0", "selection.neighbours=4"))
    folder = tmp_path / "images"
    write_rows(folder, 20)
    pixels = np.random.default_rng(99).integers(0, 256, (40, 40), np.uint8)
    pixels[4:12, 28:36] = 255
    assert cv2.imwrite(str(folder / "odd.png"), pixels)
    ingest(workspace, str(folder))
    drawn: list[ReportData] = []
    monkeypatch.setattr(report_pipeline, "write_report", lambda _path, data: drawn.append(data))
    result = select_batch(workspace, SelectRequest(21))
    by_name = {Path(pick.path).name: pick for pick in drawn[0].picks}
    assert drawn[0].odd_place(by_name["odd.png"]) is not None
    novelty = load_novelty(workspace, [pick.image_id for pick in drawn[0].picks])
    shown = [drawn[0].odd_place(pick) is not None for pick in drawn[0].picks]
    assert not any(np.array(shown)[novelty[:, 0] < ODD_FROM]), "most of them are not odd"
    assert not all(shown)
    # Vectors of one's own, or plain ones, know nothing of places.
    batch = replace(read_batch(workspace, result.batch_id), inputs={"vectors": "mine.npy"})
    assert report_pipeline._odd_boxes(workspace, batch) == {}
