"""The examples of schedules: the shell script against every exit code, the others as far as they run here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parent.parent.parent / "scripts" / "schedules"


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """A workspace, and a program that ends as the file `code` says."""
    (tmp_path / "line" / ".activesel" / "rounds").mkdir(parents=True)
    program = tmp_path / "activesel"
    program.write_text(
        f"#!/bin/sh\necho \"$@\" >> {tmp_path}/calls\n"
        f'if [ "$2" = report ]; then echo /pages/round.html; exit 0; fi\n'
        f'echo "step 1"; echo "activesel: the reason" >&2; exit $(cat {tmp_path}/code)\n'
    )  # fmt: skip
    program.chmod(0o755)
    return tmp_path


def attempt(plant: Path, code: int) -> tuple[int, str]:
    """Run the script once; return its exit code and what it told."""
    (plant / "code").write_text(str(code))
    told = plant / "told"
    told.unlink(missing_ok=True)
    settings = {"ACTIVESEL_WORKSPACE": str(plant / "line"), "ACTIVESEL": str(plant / "activesel"),
                "ACTIVESEL_TELL": f"cat >> '{told}'"}  # fmt: skip
    ended = subprocess.run(["sh", str(FOLDER / "round.sh")], env={**os.environ, **settings}, check=False,
                           capture_output=True, text=True)  # fmt: skip
    return ended.returncode, told.read_text() if told.exists() else ""


def test_a_finished_round_is_told_with_its_page(plant: Path) -> None:
    assert attempt(plant, 0) == (0, "The round is finished: /pages/round.html\n")


def test_people_are_told_once_a_day(plant: Path) -> None:
    assert attempt(plant, 8) == (0, "activesel: the reason\n")
    assert attempt(plant, 8) == (0, "")
    stamp = plant / "line" / ".activesel" / "rounds" / "told"
    yesterday = stamp.stat().st_mtime - 24 * 3600
    os.utime(stamp, (yesterday, yesterday))
    assert attempt(plant, 8)[1] == "activesel: the reason\n"


@pytest.mark.parametrize("code", [4, 5])
def test_a_verdict_is_told(plant: Path, code: int) -> None:
    ended, told = attempt(plant, code)
    assert ended == 0
    assert told.startswith("A verdict stops the round:\n")
    assert "the reason" in told


@pytest.mark.parametrize("code", [6, 7])
def test_a_busy_machine_is_left_to_the_next_attempt(plant: Path, code: int) -> None:
    assert attempt(plant, code) == (0, "")


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_somebody_must_mend_is_told_and_fails(plant: Path, code: int) -> None:
    ended, told = attempt(plant, code)
    assert ended == code
    assert f"The round fails with {code}:" in told


def test_a_missing_workspace_is_named() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ACTIVESEL_WORKSPACE"}
    ended = subprocess.run(
        ["sh", str(FOLDER / "round.sh")], env=environment, check=False, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "name the workspace in ACTIVESEL_WORKSPACE" in ended.stderr


def ci_steps() -> list[dict[str, str]]:
    document = yaml.safe_load((FOLDER / "ci_round.yml").read_text())
    steps: list[dict[str, str]] = document["jobs"]["round"]["steps"]
    return steps


@pytest.mark.parametrize(("code", "ended"), [(0, 0), (8, 0), (4, 4), (5, 5), (3, 3)])
def test_the_workflow_fails_where_somebody_must_look(plant: Path, code: int, ended: int) -> None:
    (plant / "code").write_text(str(code))
    environment = {**os.environ, "PATH": f"{plant}:{os.environ['PATH']}", "WORKSPACE": str(plant / "line"),
                   "REASON": "a drill", "GITHUB_OUTPUT": str(plant / "output")}  # fmt: skip
    found = subprocess.run(
        ["bash", "-e", "-c", ci_steps()[0]["run"]], env=environment, check=False, capture_output=True
    )
    assert found.returncode == ended
    assert (plant / "output").read_text() == f"code={code}\n"
    assert (plant / "calls").read_text().endswith("--accept-quality a drill\n")


def test_the_dag_compiles() -> None:
    code = compile((FOLDER / "airflow_round.py").read_text(), "airflow_round.py", "exec")
    assert "activesel_round" in code.co_names
