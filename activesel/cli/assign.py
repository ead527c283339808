"""activesel assign: what is wanted of people about a batch."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, tell

if TYPE_CHECKING:
    from activesel.workspace import Workspace


def assign(
    batch: Batch = None,
    overlap: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, max=1, help="Labelled twice, more if defects are rare."),
    ] = None,
    gold: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=1, help="Known answers mixed in.")
    ] = None,
    blind_arm: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, max=1, help="Whose pre-label is hidden; 0: no pre-labels."),
    ] = None,
    route: Annotated[
        bool, typer.Option("--route", help="Crowd or expert per image, within the budget: settings below routing.")
    ] = False,
    next_: Annotated[
        bool, typer.Option("--next", help="Once labels came: where another opinion pays, and where an expert's.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Draw and count; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Draw, before anybody labels, what is wanted of whom.

    Which images two people label without knowing of each other, drawn at random within each predicted class, as many as
    a check of the labels needs; which images with a known answer are mixed in; whose pre-label is hidden. The same seed
    draws the same. Once the batch is labelled it is not drawn anew. Shares
    that are not given are those of the settings: quality.overlap, quality.gold, quality.blind_arm.

    With --next, once people have labelled what was asked for: wants another opinion of the images whose label is least
    sure, by the consensus of all that was said, and an expert's where quality.most_opinions are there and it still is;
    as few as it takes for the others to err no more than the majority of three would (quality.label_error). Again after
    each round of labels, until it asks for nothing.

    \b
    Examples:
      activesel assign
      activesel assign 0003 --overlap 0.2 --dry-run
      activesel assign --next
    """
    from activesel.errors import UsageError
    from activesel.pipelines.assign import AssignRequest, assign_batch, expect_spend, plan_tasks, route_by_settings
    from activesel.pipelines.export import find_batch

    workspace = open_workspace(workspace_dir, settings)
    batch_id = find_batch(workspace, batch)
    if next_:
        if route or not overlap is gold is blind_arm is None:
            raise UsageError("--next draws nothing anew", expected="no other option that says what to draw")
        _ask_next(workspace, batch_id, dry_run=dry_run, as_json=as_json)
        return
    request = AssignRequest(overlap, gold, blind_arm, route_by_settings(workspace) if route else None)
    if dry_run:
        assigned = plan_tasks(workspace, batch_id, request)
    else:
        with workspace.lock("assign"):
            assigned = assign_batch(workspace, batch_id, request)
    tasks = assigned.tasks
    money, minutes = expect_spend(workspace, tasks)
    counts = {
        "images": len(tasks), "opinions": assigned.n_opinions, "overlap": sum(one.overlap for one in tasks),
        "gold": sum(one.gold for one in tasks), "hidden": sum(one.prelabel == "hidden" for one in tasks),
        "expert": sum(one.route == "expert" for one in tasks), "money": money, "minutes": minutes,
        "prevalence": assigned.prevalence, "changed": assigned.is_new and not dry_run,
    }  # fmt: skip
    if as_json:
        show_json({"schema_version": 1, "batch_id": batch_id, **counts, "notes": assigned.notes,
                   "tasks": [asdict(task) for task in tasks]})  # fmt: skip
        return
    expected = None if assigned.prevalence is None else f"{assigned.prevalence:.1%} defects, as the model expects"
    show_pairs([
        ("batch", batch_id), ("images", counts["images"]), ("overlap", f"{counts['overlap']} labelled by two"),
        ("gold", f"{counts['gold']} with a known answer"), ("hidden", f"{counts['hidden']} without their pre-label"),
        ("expert", f"{counts['expert']} for an expert" if route else None),
        ("opinions", f"{counts['opinions']} wanted in all"),
        ("effort", f"{money:,.2f} and {minutes:,.0f} min, at the rates below routing"),
        ("prevalence", expected),
        *(("note", note) for note in assigned.notes),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")
    elif not assigned.is_new:
        tell("nothing changed: this is what was drawn before")


def _ask_next(workspace: Workspace, batch_id: str, *, dry_run: bool, as_json: bool) -> None:
    from activesel.pipelines.next_opinions import ask_next, plan_next

    if dry_run:
        found = plan_next(workspace, batch_id)
    else:
        with workspace.lock("assign"):
            found = ask_next(workspace, batch_id)
    if as_json:
        show_json({"schema_version": 1, **asdict(found)})
        return
    show_pairs([
        ("batch", batch_id), ("again", f"{found.n_again} images want another opinion"),
        ("expert", f"{found.n_expert} wait for an expert (activesel adjudicate list)"),
        ("waiting", f"{found.n_waiting} lack an opinion that was asked for before" if found.n_waiting else None),
        ("done", f"{found.n_done}, of which {found.error:.2%} are expected to be wrong; {found.target:.2%} may be"),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")
    elif not found.is_new:
        tell("nothing changed: nothing more is asked for")
