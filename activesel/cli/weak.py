"""activesel weak: labels from rules, which train and never test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.pipelines.weak import WeakTable

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  help="Labels from rules, which train and never test.")  # fmt: skip
Rules = Annotated[
    Path, typer.Argument(metavar="RULES", show_default=False, help="Your rules, a Python file; it is run.")
]
Classes = Annotated[
    str | None, typer.Option(metavar="A,B", help="What rules may say; else the labels at hand.")
]  # fmt: skip
Predictions = Annotated[Path | None, typer.Option(metavar="FILE", help="Your model's, for rules to read.")]


@app.command("run")
def run(
    rules: Rules,
    classes: Classes = None,
    predictions: Predictions = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be labelled; store nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Label images by rules, weighed against each other.

    Weak labels are stored where nothing better counts, with the confidence of a label model; they train, and neither
    test nor evaluate. The file of rules is a program of yours and runs with your rights.

    \b
    Example:
      activesel weak run rules.py
    """
    from activesel.pipelines.weak import WeakRequest, run_rules

    workspace = open_workspace(workspace_dir, settings)
    request = WeakRequest(rules, tuple(classes.split(",")) if classes else (), predictions, dry_run)
    with workspace.lock("weak run"):
        done = run_rules(workspace, request)
    if as_json:
        show_json(done)
        return
    _show(done.table)
    print()
    show_pairs([
        ("weak labels", f"{done.n_weak}: {show_counts(done.counts)}" if done.n_weak else 0),
        ("not sure enough", done.n_unsure or None),
        ("taken back", done.n_dropped or None),
        ("right", f"{done.accuracy:.1%} of {done.n_checked} labelled images, whose labels the rules were not told"
         if done.accuracy is not None else "not known: no labelled image is covered"),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")


@app.command("table")
def table(
    rules: Rules,
    classes: Classes = None,
    predictions: Predictions = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Say how often each rule speaks, and how often it is right.

    \b
    Example:
      activesel weak table rules.py
    """
    from activesel.pipelines.weak import WeakRequest, table_rules

    workspace = open_workspace(workspace_dir, settings)
    found = table_rules(workspace, WeakRequest(rules, tuple(classes.split(",")) if classes else (), predictions))
    show_json(found) if as_json else _show(found)


def _show(found: WeakTable) -> None:
    rows = [
        (one.name, ", ".join(found.classes[code] for code in one.polarity) or "nothing", f"{one.coverage:.1%}",
         f"{one.overlaps:.1%}", f"{one.conflicts:.1%}", one.n_right, one.n_known - one.n_right,
         f"{one.accuracy:.1%}" if one.accuracy is not None else "")
        for one in found.rules
    ]  # fmt: skip
    show_table(("rule", "says", "coverage", "overlaps", "conflicts", "right", "wrong", "accuracy"), rows)
    print(f"{found.n_covered} of {found.n_images} images are covered; {found.n_known} have a label of people")
