"""activesel synth --fill-gaps as it is called: the table, JSON, a dry run, and one line where something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.embedding import tiny_backbone
from tests.synth.sets import write_set

TINY = ["embedding.backbone=tiny", "embedding.pooling=plain", "embedding.device=cpu"]
SETTINGS = [part for value in TINY for part in ("--set", value)]
assert tiny_backbone.DIM == 16  # importing it registers "tiny"
WANTED = "schema_version: 1\ngood: good\nclasses:\n  scratch: {images: 7}\n"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose labels came as labels.csv with masks, which the catalog does not keep; no gaps yet."""
    from activesel.cli import run

    folder = tmp_path_factory.mktemp("fill")
    labels = write_set(folder / "plates")
    assert run(["init", str(folder / "job")]) == 0
    images = folder / "plates" / "*d[0-9].png"  # not the masks
    assert run(["ingest", str(images), "--labels", str(labels), "-w", str(folder / "job")]) == 0
    (folder / "job" / "requirements.yaml").write_text(WANTED)
    return folder / "job"


def test_without_gaps_it_names_the_command(cli: Cli, job: Path, tmp_path: Path) -> None:
    done = cli("synth", "--fill-gaps", "-w", job, "--out", tmp_path / "set", *SETTINGS)
    assert done.code == 3
    assert "no gaps were found out yet; run `activesel gaps` first" in done.complaint
    assert not (tmp_path / "set").exists()


def test_outside_a_workspace(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("synth", "--fill-gaps")
    assert done.code == 3
    assert "no workspace here" in done.complaint


def test_the_story(cli: Cli, job: Path, tmp_path: Path) -> None:
    assert cli("gaps", "-w", job, *SETTINGS).code == 0
    labels = job.parent / "plates" / "labels.csv"
    arguments = ("synth", "--fill-gaps", "-w", job, "--labels", labels, "--out", tmp_path / "sets", "--workers", 1,
                 "--no-embed", "--max-proposals", 96, *SETTINGS)  # fmt: skip
    plan = cli(*arguments, "--dry-run", "--json")
    assert [(one["name"], one["missing"]) for one in plan.json["gaps"]] == [("scratch: images", 4)]
    assert "dry run: nothing was written" in plan.err
    assert "scratch: images" in cli(*arguments, "--dry-run").out
    assert not (tmp_path / "sets").exists()
    done = cli(*arguments)
    assert done.code == 0, done.err
    assert "1  scratch: images  closed   43% to 100%     4" in done.out
    assert "4 variants stand in for 4 missing images" in done.out
    assert done.out.splitlines()[-1].split()[-1] == str(tmp_path / "sets" / "gaps.json")
    found = cli(*arguments, "--json").json
    assert found["gaps"][0]["verdict"] == "closed"
    assert found["sets"][0]["folder"] == str(tmp_path / "sets" / "scratch")
    assert json.loads((tmp_path / "sets" / "gaps.json").read_text())["gaps"] == found["gaps"]
    record = json.loads((tmp_path / "sets" / "scratch" / "records.jsonl").read_text().splitlines()[0])
    assert record["gaps"] == ["scratch: images"]
    assert cli("synth", "replay", tmp_path / "sets" / "scratch", record["id"], "--check", *SETTINGS).code == 0


def test_a_class_without_a_gap_is_a_slip(cli: Cli, job: Path, tmp_path: Path) -> None:
    assert cli("gaps", "-w", job, *SETTINGS).code == 0
    done = cli("synth", "--fill-gaps", "--class", "dent", "-w", job, "--out", tmp_path / "set", *SETTINGS)
    assert done.code == 2
    assert "--class dent: no gap of this class is to be synthesised; found scratch" in done.complaint
