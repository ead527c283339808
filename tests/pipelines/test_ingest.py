"""Ingest on real files: what it counts, what it skips, what it survives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines import ingest as module
from activesel.pipelines.ingest import IngestSummary, ingest
from activesel.workspace import Workspace, create_workspace


def write_image(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "workspace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files: three images, one of them under two names, and a truncated one."""
    root = tmp_path / "images"
    for n, name in enumerate(["L1/a.png", "L1/b.jpg", "L2/c.bmp"]):
        write_image(root / name, n)
    (root / "L2" / "again.png").write_bytes((root / "L1" / "a.png").read_bytes())
    (root / "L2" / "cut.png").write_bytes((root / "L1" / "a.png").read_bytes()[:200])
    return root


def contents(workspace: Workspace) -> tuple[Any, ...]:
    """All that a later command can see of the catalog."""
    with Catalog.open(workspace.catalog_path) as catalog:
        return (catalog.images(), catalog.resolve(), catalog.known_files(), catalog.labels(), catalog.quarantined())


def counted(summary: IngestSummary) -> tuple[int, int, int, int, dict[str, int]]:
    return (summary.n_seen, summary.n_new, summary.n_doubled, summary.n_known, dict(summary.quarantined))


def test_a_folder_is_counted(workspace: Workspace, folder: Path) -> None:
    summary = ingest(workspace, str(folder))
    assert counted(summary) == (5, 3, 1, 0, {"truncated": 1})
    assert summary.rate > 0
    with Catalog.open(workspace.catalog_path) as catalog:
        assert len(catalog.images()) == 3
        assert len(catalog.images(summary.source)) == 3
        assert [one.path for one in catalog.quarantined()] == [str(folder / "L2" / "cut.png")]


def test_a_second_run_reads_only_what_is_new(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(workspace, str(folder))
    before = contents(workspace)
    read: list[str] = []
    check = module.check_image
    monkeypatch.setattr(module, "check_image", lambda path, **limits: read.append(path.name) or check(path, **limits))
    assert counted(ingest(workspace, str(folder))) == (5, 0, 0, 4, {"truncated": 1})
    assert read == ["cut.png"]  # a file in quarantine may have been mended, or the limits raised
    assert contents(workspace) == before
    write_image(folder / "L3" / "new.png", 9)
    assert counted(ingest(workspace, str(folder))) == (6, 1, 0, 4, {"truncated": 1})


def test_changed_and_mended_files(workspace: Workspace, folder: Path) -> None:
    ingest(workspace, str(folder))
    write_image(folder / "L1" / "b.jpg", 50)
    write_image(folder / "L2" / "cut.png", 51)
    assert counted(ingest(workspace, str(folder))) == (5, 2, 0, 3, {})
    with Catalog.open(workspace.catalog_path) as catalog:
        assert catalog.quarantined() == []
        assert catalog.counts().n_files == 5
        assert len(catalog.images()) == 4


@pytest.mark.parametrize("n_workers", [1, 7])
def test_threads_do_not_show(
    tmp_path: Path, workspace: Workspace, n_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["path,lot"]
    for n in range(120):
        write_image(tmp_path / "images" / f"{n:03}.png", n % 40)  # each image thrice, with differing lots
        rows.append(f"images/{n:03}.png,{n % 7}")
    (tmp_path / "m.csv").write_text("\n".join(rows))
    monkeypatch.setattr(module, "_FILES_PER_TASK", 3)
    monkeypatch.setattr(module, "_FILES_PER_COMMIT", 10)
    other = create_workspace(tmp_path / "other", [f"ingest.workers={n_workers}"])
    summary = ingest(other, str(tmp_path / "m.csv"))
    assert counted(summary) == (120, 40, 80, 0, {})
    ingest(workspace, str(tmp_path / "m.csv"))
    assert contents(other) == contents(workspace)


def test_labels_from_every_place(tmp_path: Path, folder: Path) -> None:
    by_folder = create_workspace(tmp_path / "w1", ["ingest.labels_from_folders=true"])
    (folder / "L2" / "again.png").unlink()  # a copy in another class's folder would be a contradiction
    assert ingest(by_folder, str(folder)).n_labels == 3
    assert set(_label_names(by_folder).values()) == {"L1", "L2"}
    (folder / "labels.csv").write_text("path,label\nL1/a.png,crack\nL2/cut.png,ok\n")  # one of them in quarantine
    assert ingest(by_folder, str(folder), labels=folder / "labels.csv").n_labels == 4
    assert _label_names(by_folder) == {"a.png": "crack", "b.jpg": "L1", "c.bmp": "L2"}
    by_manifest = create_workspace(tmp_path / "w2")
    assert ingest(by_manifest, str(folder / "labels.csv")).n_labels == 1
    assert _label_names(by_manifest) == {"a.png": "crack"}


def _label_names(workspace: Workspace) -> dict[str, str]:
    with Catalog.open(workspace.catalog_path) as catalog:
        return {Path(catalog.paths_of(key)[0]).name: label.name for key, label in catalog.labels().items()}


def test_a_coco_file_brings_images_and_labels(workspace: Workspace, folder: Path) -> None:
    (folder / "coco.json").write_text(
        '{"images": [{"id": 1, "file_name": "L1/a.png"}, {"id": 2, "file_name": "L2/cut.png"}],'
        ' "categories": [{"id": 5, "name": "crack"}],'
        ' "annotations": [{"image_id": 1, "category_id": 5}, {"image_id": 2, "category_id": 5}]}'
    )
    summary = ingest(workspace, str(folder / "coco.json"))
    assert (summary.n_seen, summary.n_new, summary.n_labels) == (2, 1, 1)
    assert _label_names(workspace) == {"a.png": "crack"}


def test_copies_with_two_labels_are_told(tmp_path: Path, folder: Path) -> None:
    by_folder = create_workspace(tmp_path / "w1", ["ingest.labels_from_folders=true"])
    with pytest.raises(DataError, match=r"again.png: two labels for one image: again.png; found 'L2'; .*'L1'.*a.png"):
        ingest(by_folder, str(folder))


def test_a_path_pattern_added_later_reaches_known_files(workspace: Workspace, folder: Path) -> None:
    ingest(workspace, str(folder))
    again = create_workspace(workspace.root, ['ingest.path_pattern="{line}/{part}.png"'])
    assert ingest(again, str(folder)).n_unmatched == 2
    with Catalog.open(workspace.catalog_path) as catalog:
        metas = [row.meta for row in catalog.images() if row.meta]
    assert metas == [{"line": "L2", "part": "again"}]  # a.png has two paths, of which the later one counts


def test_nothing_usable(tmp_path: Path, workspace: Workspace) -> None:
    root = tmp_path / "broken"
    root.mkdir()
    (root / "a.png").touch()
    (root / "b.png").write_text("no image")
    with pytest.raises(
        DataError, match=r"none of the 2 files is a usable image; found 1 empty, 1 not-an-image; .*a\.png"
    ):
        ingest(workspace, str(root))


def test_a_name_that_is_no_text(tmp_path: Path, workspace: Workspace) -> None:
    good = write_image(tmp_path / "images" / "a.png", 1)
    bad = os.fsencode(good.parent) + b"/caf\xe9.png"
    with open(bad, "wb") as stream:  # noqa: PTH123 - a Path holds text
        stream.write(good.read_bytes())
    assert counted(ingest(workspace, str(good.parent))) == (2, 1, 0, 0, {"unreadable": 1})
    with Catalog.open(workspace.catalog_path) as catalog:
        assert "not UTF-8" in catalog.quarantined()[0].detail


def test_a_missing_label_file_is_told_before_the_work(workspace: Workspace, folder: Path) -> None:
    with pytest.raises(DataError, match="no such label file"):
        ingest(workspace, str(folder), labels=folder / "absent.csv")
    assert not workspace.catalog_path.exists()


def test_ctrl_c_stops_the_threads_and_keeps_what_is_recorded(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):
        write_image(tmp_path / "images" / f"{n:03}.png", n)
    monkeypatch.setattr(module, "_FILES_PER_TASK", 4)
    monkeypatch.setattr(module, "_FILES_PER_COMMIT", 8)
    add_images, n_commits = Catalog.add_images, 0

    def interrupt(*arguments: Any) -> int:
        nonlocal n_commits
        n_commits += 1
        if n_commits == 4:
            raise KeyboardInterrupt
        return add_images(*arguments)

    monkeypatch.setattr(Catalog, "add_images", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ingest(workspace, str(tmp_path / "images"))
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("ingest")]
    with Catalog.open(workspace.catalog_path) as catalog:
        assert catalog.counts().n_images == 24  # three commits of eight
    monkeypatch.undo()
    assert counted(ingest(workspace, str(tmp_path / "images"))) == (200, 176, 0, 24, {})


_CHILD = """
import sys
from pathlib import Path
from activesel.pipelines import ingest as module
from activesel.workspace import find_workspace
module._FILES_PER_TASK, module._FILES_PER_COMMIT = 4, 16  # many commits, so that a kill falls between and into them
commit = module._commit
def tell(*arguments):
    print("commit", flush=True)
    commit(*arguments)
module._commit = tell
module.ingest(find_workspace(Path(sys.argv[1])), sys.argv[2], labels=Path(sys.argv[3]))
print("done", flush=True)
"""


def _run_and_kill(workspace: Path, source: Path, labels: Path, *, n_commits: int, delay_s: float) -> bool:
    """Run ingest in a process of its own and kill it some time after a commit begins; tell if it was still at work."""
    command = [sys.executable, "-c", _CHILD, str(workspace), str(source), str(labels)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        for _ in range(n_commits):
            assert child.stdout.readline() == "commit\n"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.wait()
    return "done" not in rest


def test_kill_9_at_random_moments_and_a_rerun_give_the_same_catalog(tmp_path: Path) -> None:
    root = tmp_path / "images"
    rows = ["path,label"]
    for n in range(400):
        path = write_image(root / f"L{n % 3}" / f"{n:03}.png", n - n % 10 // 9)  # some are copies of the one before
        if n % 50 == 7:
            path.write_bytes(path.read_bytes()[:-20])
        rows.append(f"{path},{'crack' if n - n % 10 // 9 < 200 else 'ok'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    whole = create_workspace(tmp_path / "whole")
    summary = ingest(whole, str(root), labels=tmp_path / "labels.csv")
    assert (summary.n_seen, summary.n_quarantined) == (400, 8)
    chance = random.Random(0)
    n_killed, n_partial = 0, 0
    for trial in range(3):
        workspace = create_workspace(tmp_path / f"trial{trial}")
        for _ in range(3):
            n_killed += _run_and_kill(workspace.root, root, tmp_path / "labels.csv",
                                      n_commits=chance.randint(1, 12), delay_s=chance.uniform(0, 0.03))  # fmt: skip
            n_partial += 0 < len(contents(workspace)[0]) < len(contents(whole)[0])
        ingest(workspace, str(root), labels=tmp_path / "labels.csv")
        assert contents(workspace) == contents(whole)
    assert n_killed
    assert n_partial, "no kill left a part of the work; change the number of commits"
