"""activesel label-studio: a batch to people and back, by a Label Studio server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs
from activesel.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    from activesel.tools.label_studio import LabelStudio

app = typer.Typer(rich_markup_mode=None, help="Have a batch labelled on a Label Studio server.")
TOKEN_VARIABLE = "ACTIVESEL_LABEL_STUDIO_TOKEN"
Url = Annotated[str, typer.Option(metavar="URL", help="The server, e.g. http://studio.plant:8080.")]
Token = Annotated[
    str | None,
    typer.Option(metavar="TOKEN", help=f"Legacy or personal access token; better in ${TOKEN_VARIABLE}.",
                 show_default=False),
]  # fmt: skip
DryRun = Annotated[bool, typer.Option("--dry-run", help="Ask the server, say what would happen, change nothing.")]


@app.command("push")
def push(
    url: Url,
    batch: Batch = None,
    token: Token = None,
    project: Annotated[
        str | None, typer.Option(metavar="TITLE", help="The project; else the workspace's name and the batch.")
    ] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="A class that no label has yet; repeatable.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The server's LOCAL_FILES_DOCUMENT_ROOT, if it shares our disk; else upload."),
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a batch a project there; again adds what is missing.

    \b
    Example:
      activesel label-studio push 0003 --url http://studio.plant:8080
    """
    from activesel.pipelines.export import find_batch
    from activesel.pipelines.tool_push import PushRequest, push_batch

    workspace = open_workspace(workspace_dir, settings)
    request = PushRequest(find_batch(workspace, batch), project, tuple(class_ or ()), root, dry_run)
    with workspace.lock("label-studio push"), _connect(url, token) as tool:
        done = push_batch(workspace, request, tool)
    if as_json:
        show_json(done)
        return
    show_pairs([
        ("project", done.project), ("tasks to add" if dry_run else "tasks added", done.n_new),
        ("there already", done.n_known),
        ("with pre-label", done.n_predictions), ("pre-label hidden", done.n_hidden or None),
        ("for several people", done.n_overlap or None), ("doubles removed", done.n_doubles_removed or None),
        ("classes", ", ".join(done.classes)),
    ])  # fmt: skip


@app.command("pull")
def pull(
    url: Url,
    batch: Batch = None,
    token: Token = None,
    afresh: Annotated[bool, typer.Option("--afresh", help="Read everything again, not only what is new.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fetch what people said there since the last pull.

    \b
    Example:
      activesel label-studio pull --url http://studio.plant:8080
    """
    from activesel.pipelines.export import find_batch
    from activesel.pipelines.tool_pull import pull_batches

    workspace = open_workspace(workspace_dir, settings)
    batch_id = None if batch is None else find_batch(workspace, batch)
    with workspace.lock("label-studio pull"), _connect(url, token) as tool:
        done = pull_batches(workspace, batch_id, tool, afresh=afresh, dry_run=dry_run)
    if as_json:
        show_json(done)
        return
    for one in done:
        show_pairs([
            ("batch", one.batch_id), ("annotations", f"{one.n_new} new, {one.n_changed} changed, {one.n_known} known"),
            ("deleted there, no longer counted", one.n_withdrawn or None),
            ("skipped", one.n_skipped or None), ("by", show_counts(one.n_by_annotator)),
            ("other tasks", one.n_foreign or None),
        ])  # fmt: skip


@contextmanager
def _connect(url: str, token: str | None) -> Iterator[LabelStudio]:
    try:
        from activesel.tools.label_studio import LabelStudio
        from activesel.tools.rest import Rest
    except ModuleNotFoundError as error:
        raise UnreachableError("a package is not installed", found=f"no {error.name}",
                               hint="run `pip install 'activesel[label-studio]'`") from None  # fmt: skip
    told = token or os.environ.get(TOKEN_VARIABLE, "")
    if not told:
        raise UsageError("a token is needed", expected=f"--token or ${TOKEN_VARIABLE}",
                         hint="copy one from Account & Settings in Label Studio")  # fmt: skip
    rest = Rest(url)
    try:
        yield LabelStudio(rest, told.strip(), "--token" if token else TOKEN_VARIABLE)
    finally:
        rest.close()
