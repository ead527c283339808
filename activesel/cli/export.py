"""activesel export: a batch for an annotation tool."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs

if TYPE_CHECKING:
    from activesel.pipelines.hand_out import ExportSummary


class Format(StrEnum):
    csv = "csv"
    json = "json"
    coco = "coco"
    list = "list"


def export(
    out: Annotated[Path, typer.Option(metavar="PATH", help="The file to write; for yolo and voc a folder or a .zip.")],
    batch: Batch = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="TOOL", help="label-studio, cvat, labelbox, ground-truth, coco, yolo, voc, csv, prodigy, "
                     "scale.")
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", metavar="NAME", help="The batch itself, instead of --to. csv: its table, the default; "
                     "json: everything; coco: images and labels; list: one path a line."),
    ] = None,
    with_labels: Annotated[bool, typer.Option("--with-labels", help="People's labels go along.")] = False,
    prelabels: Annotated[
        bool, typer.Option("--pre-labels/--no-pre-labels", help="A model's labels go along, but for the blind arm.")
    ] = True,
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="The first classes, in this order; repeatable.")
    ] = None,
    images_at: Annotated[
        str, typer.Option(metavar="URL", help="Where the tool finds the images' common folder; else their paths.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Write a batch in the form that an annotation tool reads.

    \b
    Examples:
      activesel export --to label-studio --out tasks.json
      activesel export 0003 --to yolo --with-labels --out week12.zip
      activesel export --format list --out paths.txt
    """
    from activesel.errors import UsageError
    from activesel.pipelines.export import export_batch, find_batch
    from activesel.pipelines.hand_out import ExportRequest, export_to

    if to is not None and format_ is not None:
        raise UsageError(
            "--to and --format exclude each other", hint="--to is for tools, --format for the batch itself"
        )
    workspace = open_workspace(workspace_dir, settings)
    batch_id = find_batch(workspace, batch)
    if to is not None:
        request = ExportRequest(batch_id, to, out, with_labels=with_labels, prelabels=prelabels, images_at=images_at,
                                classes=tuple(classes or ()), dry_run=dry_run)  # fmt: skip
        summary = export_to(workspace, request)
        show_json(summary) if as_json else show_export(summary)
        return
    name = (format_ or Format.csv).value
    n_images = export_batch(workspace, batch_id, name, out, dry_run=dry_run)
    if as_json:
        show_json({"batch_id": batch_id, "images": n_images, "format": name, "path": out.absolute()})
        return
    show_pairs([("batch", batch_id), ("images", n_images), ("file", out)])


def show_export(summary: ExportSummary) -> None:
    show_pairs([
        ("batch", summary.batch_id),
        ("images", summary.n_images),
        ("with labels", summary.n_with_labels or None),
        ("with a pre-label", summary.n_with_prelabel or None),
        ("blind", summary.n_blind or None),
        ("left out, the format cannot hold it", show_counts(summary.left_out)),
        ("classes", ", ".join(summary.classes)),
        ("would write" if summary.dry_run else "written", summary.path),
    ])  # fmt: skip
