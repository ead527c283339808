"""activesel models: which model is champion, why, and the way back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table
from activesel.errors import UnreachableError

if TYPE_CHECKING:
    from activesel.pipelines.registry import Moved
    from activesel.tools.mlflow import Mlflow

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


@app.command("push")
def push(
    mlflow: Annotated[str, typer.Option(metavar="URL", help="An MLflow server, e.g. http://mlflow.plant:5000.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The registered model there; else the workspace's name.")
    ] = None,
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Weights, cards and evaluations, too, or parameters alone.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be pushed; change nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Bring the models and their aliases to an MLflow server.

    Each model becomes a run with parameters and metrics and a version of one registered model. Its weights, card and
    evaluation go through the server's artifact proxy; where it has none, a line says so. Again makes nothing twice and
    sends no file that is there. A token is read from $MLFLOW_TRACKING_TOKEN.

    \b
    Example:
      activesel models push --mlflow http://mlflow.plant:5000
    """
    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("models push"), _connect(mlflow) as tool:
        from activesel.pipelines.registry_push import push_models  # needs what _connect says is not there

        done = push_models(workspace, tool, name, files=files, dry_run=dry_run)
    if as_json:
        show_json(done)
        return
    show_pairs([("model", done.name), ("versions", f"{len(done.versions)}, {done.n_new} new"),
                ("files", f"{done.n_files} sent, {done.n_bytes / 1e6:.1f} MB"),
                *((alias, f"version {version}") for alias, version in done.aliases.items())])  # fmt: skip
    for note in done.notes:
        print(f"note: {note}")


@contextmanager
def _connect(url: str) -> Iterator[Mlflow]:
    try:
        from activesel.tools.mlflow import Mlflow
        from activesel.tools.rest import Rest
    except ModuleNotFoundError as error:
        raise UnreachableError("a package is not installed", found=f"no {error.name}",
                               hint="run `pip install 'activesel[mlflow]'`") from None  # fmt: skip
    rest = Rest(url)
    try:
        yield Mlflow(rest, os.environ.get("MLFLOW_TRACKING_TOKEN", "").strip())
    finally:
        rest.close()


def _show_move(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        show_json(moved)
        return
    show_pairs([("champion", moved.champion), ("before", moved.before or "none"), ("because", moved.reason),
                ("changed", "yes" if moved.is_new else "nothing")])  # fmt: skip


"""activesel models: the models of a workspace."""
