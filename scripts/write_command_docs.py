"""Write docs/commands.md from the commands themselves; run it after changing one. A test notices if you forget."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from activesel.cli import app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
HEAD = """# Commands

Written by `scripts/write_command_docs.py` from the help texts: change those, then run it. Results go to stdout, the
report's path last; progress, notes and errors to stderr. With `--json` stdout is one JSON document and nothing else.
What the exit codes mean: [exit_codes.md](exit_codes.md).
"""


def main() -> None:
    TARGET.write_text(render(), encoding="utf8")
    print(TARGET)


def render() -> str:
    """Return the page: one section per command, in the order of `activesel --help`."""
    commands = dict(walk(typer.main.get_command(app), "activesel"))
    index = "\n".join(f"| [`{name}`](#{name.replace(' ', '-')}) | {summary(one)} |" for name, one in commands.items())
    sections = [describe(name, one) for name, one in commands.items()]
    return "\n".join([HEAD, "| command | what it does |\n|---|---|", index, "", *sections])


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something with its full name."""
    for key, one in getattr(command, "commands", {}).items():
        if getattr(one, "invoke_without_command", False):
            yield f"{name} {key}", one
        if getattr(one, "commands", None):
            yield from walk(one, f"{name} {key}")
        else:
            yield f"{name} {key}", one


def summary(command: Any) -> str:
    return str(command.help).splitlines()[0]


def describe(name: str, command: Any) -> str:
    prose, _, examples = str(command.help).partition("\b\n")
    code = "\n".join(line.strip() for line in examples.splitlines()[1:] if line.strip())
    rows = "\n".join(describe_parameter(parameter) for parameter in command.params)
    table = f"\n| argument or option | meaning |\n|---|---|\n{rows}\n" if rows else ""
    text = "\n\n".join(textwrap.fill(" ".join(part.split()), 120) for part in prose.strip().split("\n\n"))
    return f"## {name}\n\n{text}\n\n```sh\n{code}\n```\n{table}"


def describe_parameter(parameter: Any) -> str:
    """Return a table row such as "| `-w`, `--workspace DIR` | The workspace. |"."""
    is_option = any(name.startswith("-") for name in parameter.opts)
    names = sorted(parameter.opts, key=len) if is_option else [f"[{parameter.metavar}]"]
    value = f" {parameter.metavar}" if is_option and parameter.metavar else ""
    shown = ", ".join(f"`{name}`" for name in names[:-1]) + (", " if names[:-1] else "") + f"`{names[-1]}{value}`"
    facts = [*(["required"] if parameter.required else []), *_default(parameter)]
    note = f" ({'; '.join(facts)})" if facts else ""
    return f"| {shown} | {parameter.help.replace('|', '/')}{note} |"


def _default(parameter: Any) -> list[str]:
    value = getattr(parameter.default, "value", parameter.default)
    return [f"default `{value}`"] if isinstance(value, str | int | float) and not isinstance(value, bool) else []


if __name__ == "__main__":
    main()
