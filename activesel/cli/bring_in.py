"""activesel import: annotations from a tool's file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs

if TYPE_CHECKING:
    from activesel.pipelines.opinions import ImportSummary


class Speaker(StrEnum):
    annotator = "annotator"
    expert = "expert"
    gold = "gold"


def bring_in(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="A tool's file, folder or .zip.")],
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="label-studio, cvat, labelbox, ground-truth, coco, yolo, voc, "
                     "csv, prodigy, scale; else told from the content."),
    ] = None,
    annotator: Annotated[str, typer.Option(metavar="NAME", help="Who spoke, where the file does not say.")] = "",
    role: Annotated[
        Speaker, typer.Option(metavar="ROLE", help="annotator, expert, or gold: answers that people are measured by.")
    ] = Speaker.annotator,
    guideline: Annotated[str, typer.Option(metavar="VERSION", help="Of the labelling guideline, if not said.")] = "",
    accept_untouched: Annotated[
        bool,
        typer.Option("--accept-untouched", help="CVAT: what a model drew and nobody touched is the annotator's word."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and record nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Bring people's annotations back from a tool.

    All of a file or nothing; the same file again changes nothing. What counts follows: one opinion as it is, several
    only if they agree, and never against what an expert has decided.

    \\b
    Examples:
      activesel import project-3.json
      activesel import ann.zip --format cvat --annotator ann --guideline 2
    """
    from activesel.annotations import Role
    from activesel.pipelines.opinions import ImportRequest, Unsaid, import_annotations

    workspace = open_workspace(workspace_dir, settings)
    unsaid = Unsaid(annotator, Role(role.value), guideline)
    request = ImportRequest(file, format_, unsaid, accept_untouched, dry_run)
    with workspace.lock("import"):
        summary = import_annotations(workspace, request)
    show_json(summary) if as_json else show_import(summary)


def show_import(summary: ImportSummary) -> None:
    nothing = not (summary.n_new or summary.n_changed or summary.n_settled)
    show_pairs([
        ("format", summary.format_name),
        ("opinions", f"{summary.n_opinions} about {summary.n_images} images"),
        ("new", summary.n_new or None),
        ("changed", summary.n_changed or None),
        ("known", summary.n_known or None),
        ("skipped", summary.n_skipped or None),
        ("about images set aside", summary.n_set_aside or None),
        ("images", show_counts(summary.n_by_state)),
        ("classes", show_counts(summary.n_by_class)),
        ("result", "a dry run, nothing recorded" if summary.dry_run else "nothing changed" if nothing else None),
    ])  # fmt: skip
