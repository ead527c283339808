"""`activesel --help` is quick because nothing heavy is imported for it; and every command explains itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from activesel.cli import app

# pydantic is not among them: some releases of typer parse values with it.
HEAVY = ("torch", "torchvision", "timm", "numpy", "pandas", "pyarrow", "sqlalchemy", "faiss", "sklearn", "scipy", "cv2",
         "PIL", "yaml", "rich", "jinja2", "fastapi", "uvicorn")  # fmt: skip


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for key, one in getattr(command, "commands", {}).items():
        yield f"{name} {key}", one
        yield from walk(one, f"{name} {key}")


COMMANDS = dict(walk(typer.main.get_command(app), "activesel"))
LEAVES = {name: one for name, one in COMMANDS.items() if not hasattr(one, "commands") or one.invoke_without_command}


@pytest.mark.parametrize("arguments", [["--help"], ["select", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from activesel.cli import run; code = run(sys.argv[1:]); "
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout


def test_the_commands() -> None:
    assert [name.removeprefix("activesel ") for name in LEAVES] == [
        "init", "ingest", "embed", "select", "gaps", "assign", "qc", "status", "report", "export", "import",
        "review", "prelabel", "monitor", "serve", "ab", "bench", "strategies", "label-errors", "simulate", "train",
        "evaluate", "gate", "doctor", "label-studio push", "label-studio pull", "adjudicate list", "adjudicate set",
        "synth", "synth prove", "synth replay", "synth review", "synth recipes", "weak run", "weak table",
        "dataset build", "dataset list", "dataset diff", "dataset verify", "round run", "round resume",
        "round status", "round report", "models list", "models show", "models promote", "models rollback",
        "models push", "models export", "events ingest", "events validate", "events schema", "events serve",
        "events stats", "events dead", "feedback run", "feedback table", "config show", "config schema",
    ]  # fmt: skip


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_an_example(name: str) -> None:
    text = LEAVES[name].help
    assert "Example" in text
    assert f"\n  {name}" in text, "an example that starts with the command itself"
    first = text.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 60, "a longer one is cut short in the list of commands"


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_has_help(name: str) -> None:
    for parameter in LEAVES[name].params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name}"
