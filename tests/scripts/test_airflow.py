"""The DAG in a real Airflow: it imports without a complaint, and each exit code becomes the state that it should."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parent.parent.parent
DRIVER = Path(__file__).with_name("airflow_driver.py")
REPORTED, NOT_REPORTED = ["success", 1], ["upstream_failed", 0]
CASES = {  # exit codes of the calls -> state and tries of the turn
    "0": ["success", 1], "8,8,0": ["success", 1], "7,0": ["success", 1], "6,0": ["success", 2], "1,0": ["success", 2],
    "1,1,1,1": ["failed", 4], "2": ["failed", 1], "3": ["failed", 1], "4": ["failed", 1], "5": ["failed", 1],
    "8,4": ["failed", 1],
}  # fmt: skip


@pytest.fixture(scope="module")
def python() -> Path:
    home = os.environ.get("ACTIVESEL_AIRFLOW_VENV", ROOT / "build" / "apache-airflow-venv")
    found = Path(home).absolute() / "bin" / "python"  # not resolved: its link is what finds the packages
    if not found.exists():
        pytest.skip(f"no Airflow in {home}, and CI installs none; run python scripts/install_server.py apache-airflow")
    return found


@pytest.fixture(scope="module")
def found(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the driver printed; under "calls" how the program was called, line by line."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags" / "airflow_round.py").write_text((ROOT / "scripts" / "schedules" / "airflow_round.py").read_text())
    program = home / "bin" / "activesel"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {home}/calls\n'
        f'if [ "$2" = report ]; then echo /pages/round.html; exit 0; fi\n'
        f"code=$(head -n 1 {home}/codes); sed -i 1d {home}/codes\n"
        f'echo "activesel: the reason of $code" >&2; exit $code\n'
    )
    program.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONWARNINGS")}
    environment |= {
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW_VAR_ACTIVESEL_WORKSPACE": "/line",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False", "PATH": f"{program.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    migrate = [str(python), "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True, cwd=home)
    command = [str(python), str(DRIVER), str(home / "dags"), str(home / "codes"), *CASES]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=home, check=False)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("FOUND ")]
    assert lines, (ended.stdout + ended.stderr)[-3000:]
    told: dict[str, Any] = json.loads(lines[0].removeprefix("FOUND "))
    return told | {"calls": (home / "calls").read_text().splitlines(), "log": ended.stdout + ended.stderr}


def test_it_imports_without_error_or_warning(found: dict[str, Any]) -> None:
    assert (found["errors"], found["warnings"]) == ({}, [])


@pytest.mark.parametrize("case", CASES)
def test_what_an_exit_code_becomes(found: dict[str, Any], case: str) -> None:
    turn = CASES[case]
    is_done = turn[0] == "success"
    assert found["cases"][case] == {
        "state": turn[0],
        "tasks": {"turn": turn, "report": REPORTED if is_done else NOT_REPORTED},
    }


def test_the_program_is_called_once_a_turn_with_the_workspace(found: dict[str, Any]) -> None:
    n_turns = sum(len(case.split(",")) for case in CASES)
    n_reports = sum(turn[0] == "success" for turn in CASES.values())
    assert sorted(found["calls"]) == ["round report -w /line"] * n_reports + ["round run --json -w /line"] * n_turns


def test_the_log_says_why(found: dict[str, Any]) -> None:
    for code in (1, 4, 8):
        assert f"exit code {code}: activesel: the reason of {code}" in found["log"]
