"""The embed pipeline: only what is new, nothing fatal, and the same vectors whether or not it was killed on the way."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from activesel.errors import DataError
from activesel.pipelines import embed as embed_pipeline
from activesel.pipelines.bank import vectors_key
from activesel.pipelines.embed import embed, load_vectors, open_store
from activesel.records import ImageRow
from activesel.workspace import Workspace, create_workspace
from tests.embedding import tiny_backbone

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (
    "embedding.backbone=tiny",
    "embedding.batch_size=4",
    "embedding.shard_rows=10",
    "embedding.device=cpu",
    "embedding.pooling=plain",
)  # fmt: skip - the other pooling has tests/pipelines/test_bank.py


def write_rows(folder: Path, number: int) -> list[ImageRow]:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"{i:04d}.png" for i in range(number)]
    for path in paths:
        assert cv2.imwrite(str(path), rng.integers(0, 256, (40, 40), np.uint8))
    return read_rows(folder)


def read_rows(folder: Path) -> list[ImageRow]:
    return [
        ImageRow(hashlib.sha256(path.read_bytes()).hexdigest()[:32], str(path), 40, 40, "PNG")
        for path in sorted(folder.glob("*.png"))
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "line-4", SETTINGS)


def test_only_new_images_are_embedded(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 23)
    first = embed(workspace, rows[:15])
    second = embed(workspace, [*rows, rows[0]])
    assert (first.n_new, first.n_known, first.failed) == (15, 0, ())
    assert (second.n_new, second.n_known, second.failed) == (8, 16, ())
    assert second.dim == tiny_backbone.DIM
    assert second.images_per_s > 0
    vectors = load_vectors(workspace, [row.image_id for row in rows])
    assert (vectors.shape, vectors.dtype) == ((23, tiny_backbone.DIM), np.float16)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(load_vectors(workspace, [rows[7].image_id]), vectors[7:8])
    assert (workspace.vectors_dir / vectors_key(workspace) / "store.json").is_file()


def test_nothing_new_opens_no_backbone(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "images", 3)
    embed(workspace, rows)
    monkeypatch.delattr(embed_pipeline, "open_backbone")
    summary = embed(workspace, rows)
    assert (summary.n_new, summary.n_known, summary.dim) == (0, 3, tiny_backbone.DIM)
    assert load_vectors(workspace, [rows[1].image_id]).shape == (1, tiny_backbone.DIM)


def test_a_file_that_vanished_is_listed_and_tried_again(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 6)
    content = Path(rows[2].path).read_bytes()
    Path(rows[2].path).unlink()
    summary = embed(workspace, rows)
    assert (summary.n_new, len(summary.failed)) == (5, 1)
    assert (summary.failed[0].path, summary.failed[0].reason) == (rows[2].path, "unreadable")
    assert "cannot decode" in summary.failed[0].detail
    with pytest.raises(DataError, match="1 of 6 images have no vector"):
        load_vectors(workspace, [row.image_id for row in rows])
    Path(rows[2].path).write_bytes(content)
    assert embed(workspace, rows).n_new == 1


def test_every_file_gone(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 3)
    for row in rows:
        Path(row.path).unlink()
    summary = embed(workspace, rows)
    assert (summary.n_new, len(summary.failed)) == (0, 3)
    assert load_vectors(workspace, []).shape[0] == 0


def test_a_damaged_shard_is_embedded_again(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 30)
    ids = [row.image_id for row in rows]
    embed(workspace, rows)
    before = load_vectors(workspace, ids)
    shard = sorted(open_store(workspace).folder.glob("shard-*"))[1]
    shard.write_bytes(shard.read_bytes()[:-100])
    assert embed(workspace, rows).n_new == 12, "10 rows make a shard, at the end of a batch of 4"
    np.testing.assert_array_equal(load_vectors(workspace, ids), before)


def test_ctrl_c_keeps_what_is_done(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "images", 30)
    real = embed_pipeline.embed_images

    def interrupted(*args: object, **options: object) -> Iterator[object]:
        stream = real(*args, **options)  # type: ignore[arg-type]
        for _ in range(4):
            yield next(stream)
        stream.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(embed_pipeline, "embed_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed(workspace, rows)
    monkeypatch.undo()
    assert embed(workspace, rows).n_known == 16, "one whole shard of 12 and the 4 of the open one"


CHILD = """
import sys, time
from pathlib import Path
from activesel.embedding import stream
from activesel.pipelines.embed import embed
from activesel.workspace import create_workspace
from tests.pipelines.test_embed import SETTINGS, read_rows
decode = stream.decode_pixels
def slowly(*args, **options):
    time.sleep(0.01)  # so that the kill falls into the work, not before or after it
    return decode(*args, **options)
stream.decode_pixels = slowly
workspace = create_workspace(Path(sys.argv[1]), SETTINGS)
embed(workspace, read_rows(Path(sys.argv[2])))
"""


def test_kill_9_at_random_moments_then_rerun(workspace: Workspace, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "images", 300)
    ids = [row.image_id for row in rows]
    untouched = create_workspace(tmp_path / "untouched", SETTINGS)
    embed(untouched, rows)
    command = [sys.executable, "-c", CHILD, str(workspace.root), str(tmp_path / "images")]
    folder, n_known, rng = open_store(workspace).folder, [0], np.random.default_rng(3)
    for _ in range(4):
        enough = len(list(folder.glob("shard-*"))) + int(rng.integers(1, 4))
        with subprocess.Popen(command, cwd=ROOT) as child:
            while len(list(folder.glob("shard-*"))) < enough and child.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.03))
            assert child.poll() is None, "the child was done before it was killed"
            child.kill()
        n_known.append(len(open_store(workspace)))
    assert n_known == sorted(set(n_known)), "each run adds, and a kill loses nothing that was there"
    # A temporary file as a kill inside the write leaves it; the moment is too short to hit by chance.
    (folder / ".shard-000099.safetensors.abc").write_bytes(b"half")
    summary = embed(workspace, rows)
    assert summary.n_new + summary.n_known == 300
    store = open_store(workspace)
    assert sum(len(shard.ids) for shard in store._shards) == 300, "nothing twice"
    assert not list(folder.glob(".*"))
    np.testing.assert_array_equal(load_vectors(workspace, ids), load_vectors(untouched, ids))
