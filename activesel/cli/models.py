"""activesel models: which model is champion, why, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table

if TYPE_CHECKING:
    from activesel.pipelines.registry import Moved

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  help="Which model is champion, why, and the way back.")  # fmt: skip


@app.command("list")
def list_(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """List the models, the oldest first.

    \b
    Example:
      activesel models list
    """
    from activesel.pipelines.registry import list_models

    found = list_models(open_workspace(workspace_dir, settings))
    if as_json:
        show_json(found)
        return
    show_table(("model", "alias", "trainer", "dataset", "created", "gate"),
               [(one.card.model_id, ", ".join(one.aliases), one.card.trainer, one.card.dataset, one.card.created[:19],
                 one.verdict or "") for one in found])  # fmt: skip


@app.command("show")
def show(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", show_default=False, help="Id or alias; else the champion.")
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show a model and what was decided about it.

    \b
    Example:
      activesel models show champion
    """
    from activesel.pipelines.registry import show_model

    found = show_model(open_workspace(workspace_dir, settings), model)
    if as_json:
        show_json(found)
        return
    card = found.card
    show_pairs([
        ("model", card.model_id), ("alias", ", ".join(found.aliases)), ("trainer", card.trainer),
        ("dataset", card.dataset), ("classes", ", ".join(card.classes)), ("good", card.good), ("seed", card.seed),
        ("created", card.created), ("note", card.note),
    ])  # fmt: skip
    print()
    show_table(("when", "what", "outcome", "model", "champion", "look", "reason"),
               [(one.created[:19], one.kind, one.outcome, one.challenger, one.champion or "none", one.look, one.reason)
                for one in found.decisions])  # fmt: skip


@app.command("promote")
def promote(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", show_default=False, help="Id or alias; else the challenger.")
    ] = None,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Without the gate's word, and why; it is logged.")
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Make a model the champion.

    The gate must have said promote of this pair; else --force and a reason, which is logged. The champion of before is
    then called previous.

    \b
    Example:
      activesel models promote 3f2a
    """
    from activesel.pipelines.registry import promote as promote_model

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("models promote"):
        _show_move(promote_model(workspace, model, force), as_json=as_json)


@app.command("rollback")
def rollback(
    reason: Annotated[str, typer.Option(metavar="REASON", help="Why; it is logged.")] = "",
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous model the champion again.

    \b
    Example:
      activesel models rollback --reason "rejects every part of line 3"
    """
    from activesel.pipelines.registry import roll_back

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("models rollback"):
        _show_move(roll_back(workspace, reason), as_json=as_json)


def _show_move(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        show_json(moved)
        return
    show_pairs([("champion", moved.champion), ("before", moved.before or "none"), ("because", moved.reason),
                ("changed", "yes" if moved.is_new else "nothing")])  # fmt: skip
