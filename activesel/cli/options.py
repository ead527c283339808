"""Options that several commands share, and the workspace that they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from activesel.workspace import Workspace

WorkspaceDir = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", metavar="DIR", help="The workspace; else the nearest one from here upwards."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. embedding.batch_size=8; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Batch = Annotated[
    str | None, typer.Argument(metavar="BATCH", show_default=False, help="A batch, e.g. 0003; else the newest.")
]


def open_workspace(folder: Path | None, settings: Sequence[str] | None = None) -> Workspace:
    """Return the workspace at or above ``folder``, or the current folder."""
    from activesel.workspace import find_workspace

    return find_workspace(folder or Path.cwd(), settings or ())
