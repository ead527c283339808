"""activesel gaps as it is called: the example, a dry run, the table, and one line where something is wrong."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.cli.conftest import Cli

WANTED = "schema_version: 1\ngood: plain\nclasses:\n  stripe: {images: 30, recall: 0.9}\n  dot: {images: 2}\n"


def test_the_example_is_printed_without_a_workspace(cli: Cli) -> None:
    done = cli("gaps", "--example")
    assert done.code == 0
    assert "crack" in yaml.safe_load(done.out)["classes"]


def test_table_and_files(cli: Cli, workspace: Path) -> None:
    (workspace / "requirements.yaml").write_text(WANTED)
    done = cli("gaps", "-w", workspace)
    assert done.code == 0, done.err
    assert "activesel synth --class stripe" in done.out or "activesel select --budget" in done.out
    assert done.out.splitlines()[-1].endswith("gaps.html")
    folder = workspace / ".activesel" / "gaps"
    assert {"gaps.json", "gaps.npy", "gaps.html"} <= {path.name for path in folder.iterdir()}
    again = cli("gaps", "-w", workspace, "--json", "--out", workspace / "elsewhere")
    assert again.json["schema_version"] == 1
    assert (workspace / "elsewhere" / "gaps.html").exists()


def test_dry_run_writes_nothing(cli: Cli, workspace: Path) -> None:
    (workspace / "requirements.yaml").write_text(WANTED)
    done = cli("gaps", "-w", workspace, "--dry-run", "--json")
    assert (done.code, done.json["classes"], done.json["images"]) == (0, 2, 24)
    assert not (workspace / ".activesel" / "gaps").exists()


def test_what_is_wrong_is_one_line(cli: Cli, workspace: Path) -> None:
    assert "activesel gaps --example" in cli("gaps", "-w", workspace).complaint
    (workspace / "requirements.yaml").write_text(WANTED.replace("dot:", "dott:"))
    done = cli("gaps", "-w", workspace)
    assert done.code == 3
    assert "requirements.yaml:5: no image is labelled so; found 'dott'; expected dot" in done.complaint
