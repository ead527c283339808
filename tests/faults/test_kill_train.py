"""kill -9 of `activesel train` at any moment: run again, it is the same model, and no epoch is trained twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors import SafetensorError, safe_open

from activesel.catalog import Catalog
from activesel.models import CARD
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.ingest import ingest
from activesel.records import Label
from activesel.workspace import create_workspace, find_workspace
from tests.cli.samples import KINDS, tiny_backbone, write_photos
from tests.faults.processes import Process, run_process

pytestmark = pytest.mark.slow
N_PHOTOS, EPOCHS = 32, 3
ROOT = Path(__file__).resolve().parent.parent.parent
TUNE = ["--trainer", "fine-tune", "--option", f"epochs={EPOCHS}", "--option", "batch=4", "--option",
        "precision=float32", "--option", "side_px=32"]  # fmt: skip
SCRIPT = """
import json, os, subprocess, sys, time
from pathlib import Path
import numpy as np
import pyarrow as pa, pyarrow.parquet as pq
from safetensors.numpy import save_file

manifest = json.loads(Path(sys.argv[1]).read_text())
out = Path(manifest["out"])
here = Path(__file__).parent
with open(here / "begun", "a") as stream:
    stream.write(f"{os.getpid()}\\n")
ticking = subprocess.Popen(["sh", "-c", f"while sleep 0.05; do echo tick >> {out}/ticks; done"])
(here / "children").open("a").write(f"{ticking.pid}\\n")
while not (here / "go").exists():
    time.sleep(0.02)
ticking.kill()
ticking.wait()
(out / "ticks").unlink(missing_ok=True)
rows = [json.loads(line) for line in Path(manifest["images"]).read_text().splitlines()]
ids = [row["image_id"] for row in rows if row["predict"]]
n = len(manifest["classes"])
table = pa.table({"image_id": ids, "probs": [[1 / n] * n] * len(ids)})
pq.write_table(table.replace_schema_metadata({"classes": json.dumps(manifest["classes"])}), out / "predictions.parquet")
save_file({"w": np.arange(3, dtype=np.float32)}, out / "checkpoint.safetensors")
"""


@dataclass(frozen=True)
class Line:
    """A workspace with a dataset that nothing is trained on yet, copied for each test: where it lies is part of no
    model's id."""

    folder: Path
    settings: list[str]

    def arguments(self, root: Path, *words: str) -> list[str]:
        return ["train", *words, "-w", str(root), *self.settings]

    def copy(self, root: Path) -> Path:
        shutil.copytree(self.folder, root)
        return root


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    folder = tmp_path_factory.mktemp("line")
    write_photos(folder / "photos", N_PHOTOS)
    create_workspace(folder / "job")
    settings = [*tiny_backbone(folder), *(word for one in (
        "embedding.pooling=plain", "embedding.device=cpu", "training.device=cpu", "duplicates.similarity=1.0",
        "dataset.validation=0.25", "dataset.test=0.25") for word in ("--set", one))]  # fmt: skip
    workspace = find_workspace(folder / "job", [word for word in settings if word != "--set"])
    ingest(workspace, str(folder / "photos"))
    with Catalog.open(workspace.catalog_place) as catalog:
        found = catalog.resolve().items()
        catalog.add_labels([Label(key, KINDS[int(Path(path).stem[-2:]) % 4], "test") for path, key in found])
    build_dataset(workspace, BuildRequest())
    return Line(folder / "job", settings)


def models(root: Path) -> Path:
    return root / ".activesel" / "models"


def read_models(root: Path) -> dict[str, dict[str, bytes]]:
    """Return model id -> name -> bytes, cards without their time; whatever else lies there fails the test."""
    found = {}
    for folder in models(root).iterdir():
        assert not folder.name.startswith("."), f"left over: {folder.name}"
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        card = json.loads(files[CARD])
        assert card.pop("created")
        found[folder.name] = files | {CARD: json.dumps(card).encode()}
    return found


def listed(root: Path) -> list[str]:
    """Return the models that the catalog knows, each with a whole folder."""
    with Catalog.open(root / ".activesel" / "catalog.sqlite") as catalog:
        ids = [card.model_id for card in catalog.models.cards()]
    for model_id in ids:
        card = json.loads((models(root) / model_id / CARD).read_bytes())
        assert set(card["files"]) | {CARD} == {path.name for path in (models(root) / model_id).iterdir()}
    return ids


def train_in_peace(line: Line, folder: Path, words: list[str]) -> dict[str, dict[str, bytes]]:
    root = line.copy(folder / "peace")
    ended = run_process(line.arguments(root, *words), folder)
    assert ended.code == 0, ended.err
    (model_id,) = listed(root)
    found = read_models(root)
    assert list(found) == [model_id]
    return found


@pytest.fixture(scope="module")
def tuned(line: Line, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    return train_in_peace(line, tmp_path_factory.mktemp("tuned"), TUNE)


@pytest.fixture(scope="module")
def head(line: Line, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    return train_in_peace(line, tmp_path_factory.mktemp("head"), ["--trainer", "head"])


Moment = Callable[[Path], bool]
WRITING: dict[str, Moment] = {
    "the first epoch is under way": lambda root: any(models(root).glob(".*.draft")),
    "the predictions are written": lambda root: any(models(root).glob(".*.draft/predictions.parquet")),
    "the card is written": lambda root: any(models(root).glob(".*.draft/model.json")),
    "the model is there": lambda root: any(models(root).glob("[0-9a-f]*")),
}


def kill_when(line: Line, root: Path, folder: Path, words: list[str], moment: Callable[[], bool]) -> int:
    """Start a training, kill it at a moment, and return how it ended."""
    process = Process(line.arguments(root, *words), folder)
    if process.wait_until(moment):
        process.send(signal.SIGKILL)
    ended = process.end()
    assert ended.code in (-signal.SIGKILL, 0), ended.err
    assert set(listed(root)) <= {path.name for path in models(root).iterdir()}, "registered, but not there"
    return ended.code


def check_rerun(line: Line, root: Path, folder: Path, words: list[str], peace: dict[str, dict[str, bytes]]) -> None:
    """Run again: the same model in the same bytes, registered once, nothing left over."""
    ended = run_process(line.arguments(root, *words), folder)
    assert ended.code == 0, ended.err
    assert read_models(root) == peace
    assert listed(root) == list(peace)


@pytest.mark.parametrize("name", WRITING)
def test_a_fine_tuning_killed_while_it_writes(
    line: Line, tuned: dict[str, dict[str, bytes]], tmp_path: Path, name: str
) -> None:
    root = line.copy(tmp_path / "job")
    kill_when(line, root, tmp_path, TUNE, lambda: WRITING[name](root))
    check_rerun(line, root, tmp_path, TUNE, tuned)


def test_a_fine_tuning_killed_after_every_epoch_trains_none_twice(
    line: Line, tuned: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    root, seen, kills = line.copy(tmp_path / "job"), [0], 0
    for _ in range(EPOCHS):
        code = kill_when(line, root, tmp_path, TUNE, lambda: epoch_of(root) not in (seen[-1], 0))
        if code == 0:
            break
        seen.append(epoch_of(root))
        kills += 1
    assert seen == sorted(set(seen)), "an epoch was trained again"
    assert kills >= 2
    check_rerun(line, root, tmp_path, TUNE, tuned)


def epoch_of(root: Path) -> int:
    """Return how many epochs a killed training has behind it; 0 before the first is done."""
    for path in models(root).glob(".*.work/state.safetensors"):
        try:
            with safe_open(path, framework="np") as file:
                return int(json.loads(file.metadata()["history"])["epoch"])
        except (FileNotFoundError, SafetensorError):
            continue  # it has just been taken away
    return 0


@pytest.mark.parametrize("name", ["the predictions are written", "the model is there"])
def test_a_head_killed_while_it_writes(
    line: Line, head: dict[str, dict[str, bytes]], tmp_path: Path, name: str
) -> None:
    root = line.copy(tmp_path / "job")
    kill_when(line, root, tmp_path, ["--trainer", "head"], lambda: WRITING[name](root))
    check_rerun(line, root, tmp_path, ["--trainer", "head"], head)


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Path]:
    """A folder with a script that works until a file `go` is there; what lives on of it is ended."""
    (tmp_path / "script.py").write_text(SCRIPT)
    yield tmp_path
    for name in ("begun", "children"):
        for pid in read_numbers(tmp_path / name):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def read_numbers(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for(happened: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_script_of_ones_own_dies_with_the_training_and_is_run_anew(line: Line, scripted: Path) -> None:
    """Once by the installed command, whose whole process group is killed; then it is gone on with as usual."""
    root = line.copy(scripted / "job")
    words = ["--trainer", "command", "--option", f"command={sys.executable} {scripted / 'script.py'}"]
    command = [sys.executable, "-m", "activesel", *line.arguments(root, *words)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(models(root).glob(".*.work/out/ticks")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = [*read_numbers(scripted / "begun"), *read_numbers(scripted / "children")]
    assert len(left) == 2
    wait_for(lambda: not any(map(is_alive, left)), 10)
    (ticks,) = models(root).glob(".*.work/out/ticks")
    size = ticks.stat().st_size
    time.sleep(0.3)
    assert ticks.stat().st_size == size, "somebody still writes"
    assert listed(root) == []
    (scripted / "go").touch()
    first = run_process(line.arguments(root, *words), scripted)
    assert first.code == 0, first.err
    (model_id,) = listed(root)
    assert list(read_models(root)) == [model_id]
    assert len(read_numbers(scripted / "begun")) == 2


def test_a_script_that_was_done_is_not_run_again(line: Line, scripted: Path) -> None:
    """Killed while what it left is taken over."""
    root = line.copy(scripted / "job")
    (scripted / "go").touch()
    words = ["--trainer", "command", "--option", f"command={sys.executable} {scripted / 'script.py'}"]
    kill_when(line, root, scripted, words, lambda: any(models(root).glob(".*.work/done")))
    ended = run_process(line.arguments(root, *words), scripted)
    assert ended.code == 0, ended.err
    assert list(read_models(root)) == listed(root)
    assert len(read_numbers(scripted / "begun")) == 1
