"""activesel synth: what it prints, its exit codes, and what replay, review and a workspace do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.synth.sets import write_set


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("plates"))


QUICK = ("--workers", "1", "--no-embed", "--seed", "7")


@pytest.fixture(scope="module")
def finished(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from activesel.cli import run

    out = tmp_path_factory.mktemp("finished") / "set"
    assert run(["synth", "--labels", str(labels), "--class", "scratch", "--count", "3", "--out", str(out), *QUICK]) == 0
    return out


def test_the_story(cli: Cli, labels: Path, finished: Path) -> None:
    arguments = ("synth", "--labels", labels, "--class", "scratch", "--count", "3", "--out", finished, *QUICK)
    done = cli(*arguments)
    assert done.code == 0
    assert "3 images of scratch" in done.out
    assert "this is that set" in done.out
    assert done.out.splitlines()[-1].split()[-1] == str(finished / "sheet.html")
    found = cli(*arguments, "--json").json
    assert (found["n_kept"], found["reused"]) == (3, True)
    assert dict(found["funnel"])["kept"] == 3


def test_replay(cli: Cli, finished: Path, tmp_path: Path) -> None:
    record = json.loads((finished / "records.jsonl").read_text().splitlines()[0])
    done = cli("synth", "replay", finished, record["id"], "--out", tmp_path / "again.png", "--check", "--json")
    assert done.json["is_equal"] is True
    assert (tmp_path / "again.png").read_bytes() == (finished / record["image"]).read_bytes()


def test_review(cli: Cli, finished: Path) -> None:
    record = json.loads((finished / "records.jsonl").read_text().splitlines()[0])
    assert cli("synth", "review", finished, "--reject", record["id"], "--json").json == {
        "n_images": 2, "n_accepted": 0, "n_rejected": 1}  # fmt: skip
    assert cli("synth", "review", finished, "--json").json["n_rejected"] == 1
    assert cli("synth", "review", finished, "--undo", record["id"], "--json").json["n_images"] == 3


def test_recipes(cli: Cli) -> None:
    names = [one["name"] for one in cli("synth", "recipes", "--json").json]
    assert {"scratch", "crack", "stain", "pit"} <= set(names)
    assert "scratch" in cli("synth", "recipes").out


def test_a_dry_run_writes_nothing(cli: Cli, labels: Path, tmp_path: Path) -> None:
    done = cli("synth", "--labels", labels, "--class", "scratch", "--out", tmp_path / "set", "--dry-run")
    assert done.code == 0
    assert "3 rows of scratch" in done.out
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--labels", "LABELS"), 2, "no class is named; expected --class NAME"),
        (("--labels", "LABELS", "--class", "dent"), 3, "no image shows this class"),
        (("--labels", "LABELS", "--class", "scratch", "--good", "x"), 3, "no image of this class"),
        (("--labels", "LABELS", "--class", "scratch", "--recipe", "x"), 3, "unknown recipe"),
        (("--labels", "LABELS", "--class", "scratch", "--format", "x"), 3, "unknown format"),
        (("--labels", "LABELS", "--class", "scratch", "--count", "0"), 2, "--count"),
        (("--labels", "absent.csv", "--class", "scratch"), 3, "cannot read the label file"),
        (("--class", "scratch", "-w", "."), 3, "no workspace here"),
        (("replay", ".", "x"), 3, "not the folder of a finished set"),
        (("review", ".", "--reject", "x"), 3, "not the folder of a finished set"),
        (("review", ".", "--reject", "x", "--accept", "x"), 2, "named twice"),
    ],
)
def test_mistakes_are_one_line_with_the_documented_code(
    cli: Cli,
    labels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("synth", *(str(labels) if one == "LABELS" else one for one in arguments))
    assert done.code == code
    assert said in done.complaint
    assert not list(tmp_path.iterdir())


def test_in_a_workspace_the_labels_are_the_catalogs(cli: Cli, labels: Path, tiny: list[str], tmp_path: Path) -> None:
    job = tmp_path / "job"
    cli("init", job)
    manifest = tmp_path / "manifest.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()[1:]]
    lines = [f"{labels.parent / path},{labels.parent / mask if mask else ''},{group}" for path, _, mask, group in rows]
    manifest.write_text("\n".join(["path,mask,group", *lines]) + "\n")
    assert cli("ingest", manifest, "--labels", labels, "-w", job).code == 0
    arguments = ("synth", "--class", "scratch", "--count", 3, "--out", tmp_path / "set", "-w", job, "--workers", 1)
    done = cli(*arguments, *tiny, "--json")
    assert done.code == 0, done.err
    assert done.json["n_kept"] == 3
    record = json.loads((tmp_path / "set" / "records.jsonl").read_text().splitlines()[0])
    assert record["group"].startswith("b")
    before = sorted((job / ".activesel").rglob("*"))
    assert cli("synth", "--class", "scratch", "--group-column", "mask", "-w", job, "--dry-run", *tiny).code == 0
    assert sorted((job / ".activesel").rglob("*")) == before
