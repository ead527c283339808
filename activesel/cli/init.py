"""activesel init: make a folder a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from activesel.cli.options import AsJson
from activesel.cli.show import show_json, show_pairs


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="Else the current one.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a folder the workspace of a recurring job.

    An existing workspace stays as it is.

    \b
    Example:
      activesel init line-4
    """
    from activesel.errors import UsageError
    from activesel.workspace import SETTINGS_NAME, create_workspace

    if folder.exists() and not folder.is_dir():
        raise UsageError("not a folder", where=str(folder))
    workspace = create_workspace(folder)
    with workspace.lock("init"):  # tells of another command at work there
        pass
    if as_json:
        show_json({"workspace": workspace.root, "settings": workspace.root / SETTINGS_NAME})
        return
    show_pairs([
        ("workspace", workspace.root),
        ("settings", workspace.root / SETTINGS_NAME),
        ("next", "activesel ingest IMAGES"),
    ])  # fmt: skip
