"""activesel synth prove at the command line: bad input in one line, and a verdict as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activesel.cli import run as run_command
from synth.records import Verdict
from tests.embedding import tiny_backbone
from tests.synth.sets import write_set

TINY = [part for value in ("embedding.backbone=tiny", "embedding.pooling=plain") for part in ("--set", value)]
assert tiny_backbone.DIM == 16  # importing it registers "tiny"


def run(*args: str) -> int:
    return run_command(["synth", "prove", *args])


def test_a_class_or_a_set_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--out", str(tmp_path / "none")) == 2
    assert "no class is named, and no set is there" in capsys.readouterr().err


def test_a_class_without_real_images_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_set(tmp_path / "data", n_good=6, n_bad=2)
    assert run("--labels", str(labels), "--class", "dent", "--out", str(tmp_path / "out"), *TINY) == 3
    error = capsys.readouterr().err
    assert "no real image shows this class" in error
    assert "good, scratch" in error
    assert not (tmp_path / "out").exists()


def test_too_few_as_text_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_set(tmp_path / "data", n_good=8, n_bad=3)
    asked = ["--labels", str(labels), "--class", "scratch", "--out", str(tmp_path / "out"), *TINY]
    assert run(*asked) == 0
    text = capsys.readouterr().out
    assert "not promoted: 3 groups of real images of the class are too few" in text
    assert "nothing is shipped" in text
    assert run(*asked, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["promoted"], said["verdict"], said["groups_needed"]) == (False, "too few", 5)


def test_a_refused_set_has_an_exit_code_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, out = write_set(tmp_path / "data", n_good=8, n_bad=3), tmp_path / "out"
    bad = Verdict("two-sample", False, 0.95, (None, 0.75), "told apart: 0.95; 0.75 or less is wanted")
    with monkeypatch.context() as patch:
        patch.setattr("synth.sift.Sift.judge_set", lambda *_: [bad])
        made = ["synth", "--labels", str(labels), "--class", "scratch", "--count", "3", "--workers", "1", "--no-embed"]
        assert run_command([*made, "--out", str(out), "--max-proposals", "64"]) == 0
    text = capsys.readouterr().out
    assert "REFUSED" in text
    assert "refused: told apart: 0.95; 0.75 or less is wanted" in text
    assert run("--out", str(out), *TINY) == 4
    assert "--accept-set-rules REASON" in capsys.readouterr().err
    assert run("--out", str(out), "--accept-set-rules", "a trial", *TINY, "--json") == 0
    assert json.loads(capsys.readouterr().out)["set_refused"] == [
        "two-sample: told apart: 0.95; 0.75 or less is wanted"
    ]
