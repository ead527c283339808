"""The commands around labels from rules and models, and around dataset versions, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.samples import KINDS, write_labels

RULES = """
from activesel.weak import ABSTAIN, labelling_function

@labelling_function
def dark(item):
    return "dark" if item.pixels.mean() < 90 else ABSTAIN

@labelling_function
def red(item):
    return "dot" if (item.pixels[..., 0] > 200).mean() > 0.02 and item.pixels.mean() > 90 else ABSTAIN
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.py"
    path.write_text(RULES, encoding="utf8")
    return path


def test_dataset_versions(cli: Cli, workspace: Path, tmp_path: Path, photos: Path) -> None:
    assert "no dataset yet" in cli("dataset", "list", "-w", workspace).out
    alone = ("--set", "duplicates.similarity=1")
    plan = cli("dataset", "build", "-w", workspace, *alone, "--dry-run", "--json").json
    built = cli("dataset", "build", "-w", workspace, *alone, "--json").json
    assert (plan["version"], plan["folder"]) == (built["version"], None)
    assert built["n_images"] == 8
    again = cli("dataset", "build", "-w", workspace, *alone)
    assert "(there already)" in again.out
    labels = write_labels(tmp_path / "more.csv", photos, 12)
    assert cli("ingest", "--labels", labels, "-w", workspace).code == 0
    second = cli("dataset", "build", "-w", workspace, *alone, "--json").json["version"]
    told = cli("dataset", "diff", built["version"], second, "-w", workspace)
    assert told.out.startswith("4 added, 0 removed, 0 labels, 0 states and 0 sides changed")
    assert cli("dataset", "diff", built["version"], second, "-w", workspace, "--json").json["leaked"] == []
    assert [one["version"] for one in cli("dataset", "list", "-w", workspace, "--json").json] == [
        built["version"],
        second,
    ]
    assert "12 images, each as it was" in cli("dataset", "verify", "-w", workspace).out
    assert cli("dataset", "verify", "nothing", "-w", workspace).code == 3


def test_prelabels(cli: Cli, workspace: Path) -> None:
    plan = cli("prelabel", "-w", workspace, "--dry-run")
    assert plan.code == 0, plan.err
    assert "dry run" in plan.err
    done = cli("prelabel", "-w", workspace, "--auto-accept", "--json").json
    assert (done["n_images"], done["n_new"], done["n_accepted"]) == (5, 5, 0)
    assert set(done["thresholds"]) == set(KINDS)
    assert "not proved" in cli("prelabel", "-w", workspace).out
    assert "cannot be measured" in cli("prelabel", "--measure", "-w", workspace).out
    assert cli("prelabel", "--measure", "-w", workspace, "--json").json["shown"]["n"] == 0
    assert "there is no batch '99'" in cli("prelabel", "99", "-w", workspace).complaint


def test_weak_labels(cli: Cli, workspace: Path, rules: Path) -> None:
    table = cli("weak", "table", rules, "-w", workspace)
    assert table.code == 0, table.err
    assert "dark" in table.out
    easy = ("--set", "weak.least_confidence=0.4")
    plan = cli("weak", "run", rules, "-w", workspace, *easy, "--dry-run", "--json").json
    assert plan["n_weak"] > 0
    assert "weak labels" in cli("weak", "run", rules, "-w", workspace, *easy).out
    again = cli("weak", "run", rules, "-w", workspace, *easy, "--json").json
    assert (again["n_weak"], again["n_dropped"]) == (plan["n_weak"], 0)
    assert cli("weak", "run", "nowhere.py", "-w", workspace).code == 3


def test_label_errors(cli: Cli, workspace: Path) -> None:
    found = cli("label-errors", "-w", workspace, "--most", 3)
    assert found.code == 0, found.err
    assert "8, 4 of them held out" in found.out
    assert len(cli("label-errors", "-w", workspace, "--most", 3, "--json").json["suspects"]) <= 3
