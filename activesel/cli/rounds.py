"""activesel round: one turn of the flywheel, from the batch to the model that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.rounds.record import Round, StepRecord

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  help="One turn of the flywheel, from the batch to the model that answers.")  # fmt: skip
Accept = Annotated[
    str, typer.Option("--accept-quality", metavar="REASON", help="Use labels that quality control does not pass.")
]
Approve = Annotated[bool, typer.Option("--approve", help="Let the challenger that passed the gate answer.")]


@app.command("run")
def run(
    budget: Annotated[
        int | None, typer.Option(metavar="N", help="Images to label; else the setting rounds.budget.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="NAME", help="Only images of this ingested source.")] = None,
    accept_quality: Accept = "",
    approve: Approve = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which steps would run; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Begin a round, or go on with the one that is under way.

    Chooses a batch, has it labelled, checks the labels, freezes the data, trains a challenger, evaluates it and holds
    it against the champion. Ends with 8 where people have to do something, which the line says; with 4 or 5 where a
    verdict stops it; then the same command goes on from there. It may be killed at any time.

    \b
    Examples:
      activesel round run --budget 200
      activesel round run --set rounds.inconclusive='go on'
    """
    from activesel.rounds.run import RoundRequest, plan_round, run_round

    workspace = open_workspace(workspace_dir, settings)
    request = RoundRequest(budget, source, accept_quality, approve)
    if dry_run:
        plan = plan_round(workspace, request)
        if as_json:
            show_json(plan)
        else:
            show_pairs([("round", plan["round"]), ("images to label", plan["settings"]["budget"])])
            show_table(("step", "what", "state"), [(one["name"], one["title"], one["state"]) for one in plan["steps"]])
        tell("dry run: nothing was written")
        return
    _show(run_round(workspace, request, _watch(as_json)), as_json=as_json)


@app.command("resume")
def resume(
    accept_quality: Accept = "",
    approve: Approve = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Go on with the last round, once people have done their part.

    \b
    Examples:
      activesel round resume
      activesel round resume --accept-quality 'two annotators only, checked by eye'
    """
    from activesel.rounds.run import RoundRequest, resume_round

    workspace = open_workspace(workspace_dir, settings)
    request = RoundRequest(accept_quality=accept_quality, approve=approve)
    _show(resume_round(workspace, request, _watch(as_json)), as_json=as_json)


@app.command("status")
def status(
    number: Annotated[int | None, typer.Argument(metavar="ROUND", show_default=False, help="Else the last.")] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show where a round stands, and what is late.

    Each step with its state, since when, and whose it is.

    \b
    Example:
      activesel round status
    """
    from activesel.rounds.status import read_round_status

    found = read_round_status(open_workspace(workspace_dir, settings), number)
    if as_json:
        show_json(found)
        return
    show_pairs([("round", f"{found.number} of {found.n_rounds}"), ("finished", "yes" if found.finished else "no")])
    print()
    show_table(("step", "state", "hours", "owner", "what"), [
        (one.name, one.state, "" if one.hours is None else f"{one.hours:.1f}", one.owner, one.message or one.title)
        for one in found.steps
    ])  # fmt: skip
    print()
    show_pairs([*(("LATE" if "hours" in text else "BREACH", text) for text in found.breaches),
                ("next", found.next_step)])  # fmt: skip


@app.command("report")
def report(
    number: Annotated[int | None, typer.Argument(metavar="ROUND", show_default=False, help="Else the last.")] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write the page of a round: what it took and brought.

    Finished or not. A manager's view: images, defects, minutes, money, what a defect and a point of recall cost.

    \b
    Example:
      activesel round report
    """
    from activesel.rounds.record import find_round
    from activesel.rounds.report import write_page
    from activesel.rounds.steps import TITLES

    workspace = open_workspace(workspace_dir, settings)
    path, kpis = write_page(workspace, find_round(workspace, number), TITLES)
    show_json({"page": path, "kpis": kpis}) if as_json else print(path)


def _watch(as_json: bool) -> Callable[[StepRecord], None]:
    """Say each step as it ends; on stderr where the result is JSON."""

    def say(step: StepRecord) -> None:
        if step.state in ("done", "skipped"):
            line = f"{step.name:<11} {step.state.value}: {step.message}"
            tell(line) if as_json else print(line, flush=True)

    return say


def _show(done: Round, *, as_json: bool) -> None:
    if as_json:
        show_json(done)
    else:
        print(f"round {done.number} is finished")
