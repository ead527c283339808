"""A script of one's own: what it is told, what is believed of what it leaves, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from activesel.errors import DataError, UnreachableError, UsageError
from activesel.models import PREDICTIONS, ModelCard
from activesel.trainers import Asked, Fit, Work, command, find_trainer, parse_options
from activesel.trainers.command import CommandOptions, command_line
from activesel.trainers.onnx_predictor import OnnxPredictor, read_prepare
from activesel.trainers.subprocesses import run_command, tail_of
from tests.trainers.test_fine_tune import make_work

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
import pyarrow as pa, pyarrow.parquet as pq
from safetensors.numpy import save_file

def write(manifest, classes=None, drop=0, probs=None):
    out = Path(manifest["out"])
    rows = [json.loads(line) for line in Path(manifest["images"]).read_text().splitlines()]
    wanted = [row for row in rows if row["predict"]][drop:]
    classes = classes or manifest["classes"]
    probs = probs or [[0.25, 0.75]] * len(wanted)
    table = pa.table({"image_id": [row["image_id"] for row in wanted], "probs": probs})
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(classes)}), out / "predictions.parquet")
    save_file({"w": np.zeros(3, np.float32)}, out / "checkpoint.safetensors")
    return out

def run(path):
    manifest = json.loads(Path(path).read_text())
    BODY

if __name__ == "__main__":
    run(sys.argv[-1])
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Two images that train, two that validate; of the two asked for besides, one tests and one is of the pool."""
    made = make_work(tmp_path, 6)
    asked = [Asked(one.image_id, one.path, "train") for one in made.train]
    asked += [replace(one, split=split) for one, split in zip(made.asked[4:], ("test", ""), strict=True)]
    return replace(made, asked=tuple(asked), root=tmp_path, timeout_s=60.0, validation=())


def script(work: Work, body: str) -> str:
    (work.root / "mine.py").write_text(SCRIPT.replace("BODY", textwrap.indent(body, " " * 4).strip()))
    return f"{sys.executable} mine.py"


def run(work: Work, body: str, folder: str = "model") -> Fit:
    (work.root / folder).mkdir()
    return command.fit(work, CommandOptions(command=script(work, body)), work.root / folder)


def test_the_manifest_has_what_one_may_learn_from_and_no_more(work: Work) -> None:
    found = run(work, "write(manifest)")
    manifest = json.loads((work.scratch / "manifest.json").read_text())
    assert manifest["schema_version"] == 1
    assert (manifest["classes"], manifest["good"], manifest["seed"]) == (["free", "spot"], "free", 3)
    rows = [json.loads(line) for line in Path(manifest["images"]).read_text().splitlines()]
    assert len(rows) == manifest["n_images"] == 6
    by_split: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_split.setdefault(row["split"], []).append(row)
    assert {split: len(some) for split, some in by_split.items()} == {"train": 4, "test": 1, "pool": 1}
    assert {row["label"] for row in by_split["train"]} == {"free", "spot"}
    assert [bool(row["mask"]) or bool(row["shapes"]) for row in by_split["train"]] == [False, True, False, True]
    for row in (*by_split["test"], *by_split["pool"]):
        assert (row["label"], row["mask"], row["shapes"], row["origin"], row["weight"]) == (None, "", [], None, None)
        assert Path(row["path"]).name == f"{row['image_id']}.png", "the folder of a test image may be named after it"
        assert Path(row["path"]).read_bytes()
    np.testing.assert_allclose(found.probs, [[0.25, 0.75]] * 6)
    assert sorted(path.name for path in (work.root / "model").iterdir()) == ["checkpoint.safetensors", "train.log"]


def test_columns_follow_the_names_of_the_classes(work: Work) -> None:
    found = run(work, 'write(manifest, classes=["spot", "free"])')
    np.testing.assert_allclose(found.probs, [[0.75, 0.25]] * 6)


@pytest.mark.parametrize(("body", "says"), [
    ("raise ValueError('no memory left')", r"exit code 1: ValueError: no memory left"),
    ("sys.exit(3)", r"exit code 3: nothing on stderr"),
    ("import os; os.kill(os.getpid(), 11)", r"signal SIGSEGV|exit code 139"),
    ("pass", "no such predictions file"),
    ("write(manifest, drop=1)", "1 of 6 images have no row"),
    ("write(manifest, classes=['free', 'dent'])", "other classes than the manifest's"),
    ("write(manifest, classes=['free'])", "differ in number|other classes"),
    ("write(manifest, probs=[[0.2, 0.9]] * 6)", "not|sum"),
    ("write(manifest, probs=[[float('nan'), 1.0]] * 6)", "not|NaN"),
    ("(write(manifest) / 'checkpoint.safetensors').unlink()", "no checkpoint"),
    ("(write(manifest) / 'checkpoint.pt').write_bytes(b'')", "several checkpoints"),
    ("(write(manifest) / 'checkpoint.safetensors').write_bytes(b'rubbish')", "cannot read the checkpoint"),
    ("out = write(manifest); (out / 'checkpoint.safetensors').rename(out / 'a');"
     " (out / 'checkpoint.safetensors').symlink_to(out / 'a')", "no checkpoint|several"),
    ("(write(manifest) / 'model.onnx').write_bytes(b'rubbish')", "prepare.json"),
])  # fmt: skip
def test_what_is_not_as_the_contract_says_is_refused(work: Work, body: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        run(work, body)
    assert "\n" not in str(caught.value)
    assert not (work.root / "model" / PREDICTIONS).exists()


def test_a_pickle_is_no_checkpoint(work: Work) -> None:
    body = ("out = write(manifest); (out / 'checkpoint.safetensors').unlink(); import torch\n"
            "torch.save({'a': Path('x')}, out / 'checkpoint.pt')")  # fmt: skip
    with pytest.raises(DataError, match="more than tensors"):
        run(work, body)


def test_a_script_that_came_to_its_end_is_not_run_again(work: Work) -> None:
    body = "out = write(manifest); (Path('count')).open('a').write('x'); print('said')"
    first, again = run(work, body), run(work, body, "again")
    np.testing.assert_array_equal(first.probs, again.probs)
    assert (work.root / "count").read_text() == "x"
    assert (work.root / "again" / "train.log").read_bytes() == b"said\n"


def test_an_entry_point_is_called_with_the_manifest(work: Work) -> None:
    script(work, "write(manifest)")
    (work.root / "model").mkdir()
    found = command.fit(work, CommandOptions(entry="mine:run"), work.root / "model")
    assert found.probs.shape == (6, 2)
    with pytest.raises(DataError, match="no attribute 'walk'"):
        command.fit(replace(work, scratch=work.root / "other"), CommandOptions(entry="mine:walk"), work.root / "model")


def test_it_ends_in_time_with_all_that_it_started(work: Work) -> None:
    line = script(work, "import subprocess, time; p = subprocess.Popen(['sleep', '77']); "
                        "Path('pid').write_text(str(p.pid)); time.sleep(77)")  # fmt: skip
    with pytest.raises(UnreachableError, match=r"still at work after 2 s; raise training\.timeout_s"):
        run_command(f"{line} {_manifest(work)}", work.root, work.scratch, 2.0)
    assert is_gone(int((work.root / "pid").read_text()))


def test_ctrl_c_ends_the_whole_group(work: Work) -> None:
    line = script(work, "import subprocess, time; p = subprocess.Popen(['sleep', '77']); "
                        "Path('pid').write_text(str(p.pid)); time.sleep(77)")  # fmt: skip

    def interrupt() -> None:
        wait_for(work.root / "pid")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            run_command(f"{line} {_manifest(work)}", work.root, work.scratch, 60.0)
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert is_gone(int((work.root / "pid").read_text()))


def test_what_the_model_follows_from(work: Work) -> None:
    follows = find_trainer("command").follows_from
    line = script(work, "write(manifest)")
    before = follows(work, CommandOptions(command=line))
    assert before.startswith("mine.py ")
    script(work, "write(manifest, drop=1)")
    assert follows(work, CommandOptions(command=line)) != before
    assert follows(work, CommandOptions(entry="mine:run")) == follows(work, CommandOptions(command=line))
    (work.root / "net.py").write_text("1")
    assert "net.py" in follows(work, CommandOptions(command=line, files=("net.py",)))
    with pytest.raises(UsageError, match="not there"):
        follows(work, CommandOptions(command=line, files=("gone.py",)))


def test_options_and_command_lines() -> None:
    trainer = find_trainer("command")
    for wrong in ({}, {"command": "a", "entry": "b:c"}, {"entry": "b"}, {"entry": "b:c; rm"}, {"command": ""}):
        with pytest.raises(UsageError, match="trainer command"):
            parse_options(trainer, wrong)
    path = Path("/a b/manifest.json")
    assert command_line(CommandOptions(command="train -m {manifest} -x"), path) == "train -m '/a b/manifest.json' -x"
    assert command_line(CommandOptions(command="train"), path) == "train '/a b/manifest.json'"
    assert tail_of(b"one\n\x1b[31mtwo\x07\n  \n") == "[31mtwo"
    assert tail_of(b"") == "nothing on stderr"
    assert len(tail_of(b"x" * 10_000)) == 300


def onnx_of(path: Path, probs: list[float], channels: int = 3) -> Path:
    """A network that says the same of every image."""
    import torch

    class Same(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.mean(dim=(1, 2, 3))[:, None] * 0 + torch.tensor(probs)[None]

    pytest.importorskip("onnx")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Same(), (torch.zeros(1, channels, 8, 8),), str(path), dynamo=False, input_names=["pixels"],
                          dynamic_axes={"pixels": {0: "b"}})  # fmt: skip
    return path


PREPARE = {"schema_version": 1, "height_px": 8, "width_px": 8}


def test_a_network_beside_it_answers(work: Work) -> None:
    pytest.importorskip("onnxruntime")
    onnx_of(work.root / "same.onnx", [0.25, 0.75])
    body = (f"import shutil; out = write(manifest); shutil.copy({str(work.root / 'same.onnx')!r}, out / 'model.onnx'); "
            f"(out / 'prepare.json').write_text({json.dumps(PREPARE)!r})")  # fmt: skip
    found = run(work, body)
    card = ModelCard("m", "command", "d", work.classes, None, 0, "", options=found.about, files={"model.onnx": "x"})
    predictor = command.load(work.root / "model", card, "cpu")
    batch = predictor.prepare(np.full((20, 30, 3), 255, np.uint8))[None]
    assert batch.shape == (1, 3, 8, 8)
    assert float(batch.max()) == 1.0
    np.testing.assert_allclose(predictor.probabilities(batch), [[0.25, 0.75]])
    with pytest.raises(UsageError, match=r"no model\.onnx"):
        command.load(work.root / "model", replace(card, files={}), "cpu")


def test_a_network_that_says_something_else_is_refused(work: Work) -> None:
    pytest.importorskip("onnxruntime")
    onnx_of(work.root / "same.onnx", [0.9, 0.1])
    body = (f"import shutil; out = write(manifest); shutil.copy({str(work.root / 'same.onnx')!r}, out / 'model.onnx'); "
            f"(out / 'prepare.json').write_text({json.dumps(PREPARE)!r})")  # fmt: skip
    with pytest.raises(DataError, match=r"other things than predictions\.parquet"):
        run(work, body)


def test_networks_and_preparations_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="not a network"):
        OnnxPredictor(tmp_path / "a.onnx", ("a", "b"), PREPARE, "cpu")
    with pytest.raises(DataError, match="another input"):
        OnnxPredictor(onnx_of(tmp_path / "b.onnx", [0.5, 0.5], channels=1), ("a", "b"), PREPARE, "cpu")
    predictor = OnnxPredictor(onnx_of(tmp_path / "c.onnx", [0.5, 0.5]), ("a", "b", "c"), PREPARE, "cpu")
    with pytest.raises(DataError, match="another shape"):
        predictor.probabilities(predictor.prepare(np.zeros((9, 9, 3), np.uint8))[None])
    for wrong in ({**PREPARE, "height_px": 0}, {**PREPARE, "std": [0, 1, 1]}, {**PREPARE, "more": 1}, [], {}):
        (tmp_path / "prepare.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError):
            read_prepare(tmp_path / "prepare.json")


def _manifest(work: Work) -> Path:
    from activesel.trainers.manifest import write_manifest

    return write_manifest(work, work.scratch / "out")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().strip():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
