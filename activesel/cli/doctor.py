"""activesel doctor: is this machine ready?"""

from __future__ import annotations

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir
from activesel.cli.show import show_json

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Check that this machine and workspace are ready.

    Looks at versions, processor, weights, disk and workspace; exit code 6 if anything fails.

    \b
    Example:
      activesel doctor
    """
    from activesel.errors import EXIT_UNREACHABLE
    from activesel.pipelines.doctor import check_machine

    checks = check_machine(workspace_dir, settings or ())
    if as_json:
        show_json(checks)
    else:
        width = max(len(one.name) for one in checks)
        for one in checks:
            state = typer.style(f"{one.state:<4}", fg=_COLOURS[one.state])
            remedy = f"; {one.remedy}" if one.remedy else ""
            typer.echo(f"{state}  {one.name:<{width}}  {one.found}{remedy}")
    if any(one.state == "fail" for one in checks):
        raise typer.Exit(EXIT_UNREACHABLE)
