"""activesel gaps: what the data lack, and what to do about it first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table, tell

N_EXPLAINED = 12  # gaps whose reason is printed; the page has all of them


def gaps(
    requirements: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What is wanted; else requirements.yaml in the workspace.",
                     show_default=False),
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(metavar="FILE", help="Your vectors, .npy; with --ids.")] = None,
    ids: Annotated[Path | None, typer.Option(metavar="FILE", help="The image id or path of each vector.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where page and files go; else the workspace's own folder.",
                                  show_default=False),
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print requirements to start from, and stop.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the requirements; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Compare the labelled data with what is wanted of them.

    Ranks what to collect, label and synthesise, and says what cannot be met, each with its reason and the command that
    does it. What is wanted stands in requirements.yaml, by class and slice.

    \b
    Examples:
      activesel gaps --example > requirements.yaml
      activesel gaps -w line-4
    """
    from activesel.requirements import example_path

    if example:
        print(example_path().read_text(encoding="utf8"), end="")
        return
    from activesel.pipelines.gap_files import gaps_folder, write_gaps
    from activesel.pipelines.gaps import GapsRequest, check_gaps, survey_gaps

    workspace = open_workspace(workspace_dir, settings)
    request = GapsRequest(requirements, embeddings, ids)
    if dry_run:
        plan = check_gaps(workspace, request)
        show_json(plan) if as_json else show_pairs(
            [(name, show_counts(value) if isinstance(value, dict) else value) for name, value in plan.items()]
        )
        tell("dry run: nothing was written")
        return
    folder = out or gaps_folder(workspace)
    with workspace.lock("gaps"):
        survey = survey_gaps(workspace, request)
        document = write_gaps(workspace, survey, folder, own_vectors=embeddings is not None)
    if as_json:
        show_json({**document, "out": folder, "report": folder / "gaps.html"})
        return
    _show(document, folder)


def _show(document: dict[str, Any], folder: Path) -> None:
    found = document["gaps"]
    for note in document["notes"]:
        print(f"note: {note}")
    rows = [(one["rank"], one["action"], one["name"], one["kind"], f"{one['have']:.3g}", f"{one['need']:.3g}",
             one["missing"], f"{one['priority']:.2f}") for one in found]  # fmt: skip
    if rows:
        show_table(("rank", "action", "class or slice", "kind", "have", "need", "missing", "priority"), rows)
    else:
        print("everything that is wanted is there")
    for one in found[:N_EXPLAINED]:
        print(f"\n{one['rank']}. {one['action']}: {one['name']}: {one['reason']}")
        if one["command"]:
            print(f"   {one['command']}")
    if len(found) > N_EXPLAINED:
        print(f"\n... and {len(found) - N_EXPLAINED} more on the page")
    print()
    show_pairs([("gaps", folder / "gaps.json"), ("report", folder / "gaps.html")])
