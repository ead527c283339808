"""activesel export: a batch for an annotation tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs


class Format(StrEnum):
    csv = "csv"
    json = "json"
    coco = "coco"
    list = "list"


def export(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    batch: Batch = None,
    format_: Annotated[
        Format,
        typer.Option("--format", metavar="NAME", help="csv: the table; json: everything; coco; list: one path a line."),
    ] = Format.csv,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write a batch in the form that an annotation tool reads.

    \b
    Example:
      activesel export 0003 --format coco --out week12.json
    """
    from activesel.pipelines.export import export_batch, find_batch

    workspace = open_workspace(workspace_dir, settings)
    batch_id = find_batch(workspace, batch)
    n_images = export_batch(workspace, batch_id, format_.value, out)
    if as_json:
        show_json({"batch_id": batch_id, "images": n_images, "format": format_.value, "path": out.absolute()})
        return
    show_pairs([("batch", batch_id), ("images", n_images), ("file", out)])
