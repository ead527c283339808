"""activesel ingest: bring images, labels, or both into the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs

if TYPE_CHECKING:
    from activesel.pipelines.ingest import IngestSummary


def ingest(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", show_default=False,
                       help="A folder, a quoted glob, a CSV or Parquet manifest with a path column, or a COCO JSON."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labels: a CSV (path,label), a COCO JSON, or a folder per class."),
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Add images or labels to the workspace.

    A second run adds only what is new. Files that cannot be used are set aside and counted, never fatal.

    \b
    Examples:
      activesel ingest /data/line4 --labels labels.csv
      activesel ingest --labels week12.csv
    """
    from activesel.errors import UsageError
    from activesel.pipelines import ingest as story
    from activesel.pipelines.labels import import_labels

    if source is None and labels is None:
        raise UsageError("nothing to ingest", expected="SOURCE, --labels FILE, or both")
    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("ingest"):
        if source is None:
            assert labels is not None
            summary = import_labels(workspace, labels)
            show_json(summary) if as_json else show_pairs([("labels", summary.n_labels), ("classes", show_counts(
                summary.n_by_class))])  # fmt: skip
            return
        added = story.ingest(workspace, source, labels=labels)
    show_json({**vars(added), "rate": added.rate}) if as_json else show_ingest(added)


def show_ingest(summary: IngestSummary) -> None:
    show_pairs([
        ("source", summary.source),
        ("files", f"{summary.n_seen} ({summary.rate:.0f} a second)"),
        ("new images", summary.n_new),
        ("known", summary.n_known or None),
        ("copies", summary.n_doubled or None),
        ("quarantined", show_counts(dict(summary.quarantined))),
        ("no match for ingest.path_pattern", summary.n_unmatched or None),
        ("labels", summary.n_labels or None),
        ("next", "activesel select --budget 200" if summary.n_new else None),
    ])  # fmt: skip
