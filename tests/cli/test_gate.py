"""evaluate, gate and models on the command line: what they print and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.pipelines.gated import PLAIN, add_model, make_gated
from tests.pipelines.workspaces import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = make_gated(tmp_path, 160)
    add_model(made, 1, 3.0)
    return made


def options(job: Job, *more: str) -> list[str]:
    return ["-w", str(job.workspace.root), *(f"--set={one}" for one in (*PLAIN, *more))]


def test_from_a_model_to_a_champion_and_back(cli: Cli, job: Job) -> None:
    found = cli("evaluate", *options(job))
    assert found.code == 0
    assert "macro-F1" in found.out
    assert found.out.splitlines()[-1].endswith("evaluation.html")
    refused = cli("models", "promote", "1".zfill(12), *options(job))
    assert (refused.code, "run `activesel gate`" in refused.err) == (4, True)
    passed = cli("gate", "--json", *options(job))
    assert (passed.code, passed.json["verdict"], passed.json["decision"]["look"]) == (0, "promote", 1)
    assert cli("models", "promote", *options(job)).code == 0
    add_model(job, 2, 0.2)
    rejected = cli("gate", *options(job))
    assert rejected.code == 4
    assert rejected.out.startswith("verdict     REJECT")
    add_model(job, 3, 3.0)
    held = cli("gate", "--json", *options(job, "gate.least_defects=500"))
    assert (held.code, held.json["verdict"]) == (5, "hold")
    assert held.json["label_more"]["defects"] > 300
    assert cli("models", "promote", "--force", "try it", *options(job)).code == 0
    assert cli("models", "rollback", "--json", *options(job)).json["champion"] == "1".zfill(12)
    listed = cli("models", "list", "--json", *options(job)).json
    assert [one["aliases"] for one in listed] == [["champion"], [], ["previous"]]
    shown = cli("models", "show", *options(job)).out
    assert "rolled back" in shown
    assert "try it" in shown


def test_push_says_where_nobody_answers(cli: Cli, job: Job) -> None:
    assert cli("models", "push", "--mlflow", "nonsense", *options(job)).code == 2
    planned = cli("models", "push", "--mlflow", "http://127.0.0.1:9", "--dry-run", "--json", *options(job))
    assert (planned.code, planned.json["n_new"]) == (0, 0)
