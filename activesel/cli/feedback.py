"""activesel feedback: labels, doubts and examples from the line's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.pipelines.feedback import FeedbackTable

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  help="Labels, doubts and examples from the line's events.")  # fmt: skip


@app.command("run")
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would follow; store nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Let the line's events become labels, doubts and examples.

    Weak labels where a trusted rule speaks and nothing better counts; labels that the line contradicts wait for an
    expert; what it calls a defect is listed for the next selection. The settings under `feedback` say which rule may do
    what.

    \b
    Example:
      activesel feedback run
      activesel select --budget 50 --focus crack --exemplars .activesel/feedback/examples/crack.txt
    """
    from activesel.pipelines.feedback import run_feedback

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("feedback run"):
        done = run_feedback(workspace, dry_run=dry_run)
    if as_json:
        show_json(done)
        return
    _show(done.table)
    print()
    show_pairs([
        ("weak labels", f"{done.n_weak}: {show_counts(done.counts)}" if done.n_weak else 0),
        ("taken back", done.n_dropped or None),
        ("not sure enough", done.n_unsure or None),
        ("labels in doubt", f"{done.n_doubted}; see `activesel adjudicate list`" if done.n_doubted else 0),
        ("to look at", f"{done.n_look}; {done.folder / 'look.csv'}" if done.n_look else 0),
        ("examples", f"{show_counts(done.examples)}; {done.folder / 'examples'}" if done.examples else 0),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")


@app.command("table")
def table(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Say how often each rule speaks, and how often it is right.

    \b
    Example:
      activesel feedback table
    """
    from activesel.pipelines.feedback import table_feedback

    found = table_feedback(open_workspace(workspace_dir, settings))
    show_json(found) if as_json else _show(found)


def _show(found: FeedbackTable) -> None:
    rows = []
    for one in found.rules:
        said, measured = one.summary, one.measured
        rows.append((
            said.name, f"{said.coverage:.1%}", f"{said.conflicts:.1%}", said.n_right, said.n_known - said.n_right,
            f"{measured.value:.2f} ({measured.low:.2f}-{measured.high:.2f})" if measured else "",
            f"{one.estimate:.2f}" if one.estimate is not None else "", "yes" if one.trusted else "no",
            ", ".join(one.uses),
        ))  # fmt: skip
    show_table(("rule", "coverage", "conflicts", "right", "wrong", "accuracy (95 %)", "estimated", "trusted", "uses"),
               rows)  # fmt: skip
    print(f"{found.n_joined} of {found.n_events} events are about {found.n_images} images that are here; "
          f"{found.n_known} of those have a label of people")  # fmt: skip
    if found.strangers:
        print(f"no class, so they say nothing (feedback.names can tell): {show_counts(found.strangers)}")
