"""activesel review: the page on which people label a batch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, tell

if TYPE_CHECKING:
    from activesel.web.serve import Started


def review(
    batch: Batch = None,
    annotators: Annotated[
        list[str] | None,
        typer.Option("--annotator", metavar="NAME", help="Somebody who takes part, each with a link; repeatable."),
    ] = None,
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="For experts: decide where people disagree or skipped, blind first.")
    ] = False,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Classes to answer; those of known labels follow.")
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where to listen; others than this machine see the page if you change it."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 = any free one.")] = 0,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Serve a page on which people label a batch.

    Each answer is in the catalog as soon as the page shows the next image. Ctrl-C ends it.

    \b
    Example:
      activesel review 0003 --annotator anna --annotator ben
      activesel review 0003 --adjudicate --annotator dr-lee
    """
    import getpass

    from activesel.pipelines.batch_names import find_batch
    from activesel.web.serve import ReviewRequest, serve_review

    workspace = open_workspace(workspace_dir, settings)
    request = ReviewRequest(
        find_batch(workspace, batch), annotators or [getpass.getuser()], host, port, adjudicate,
        [name for name in (classes or "").split(",") if name],
    )  # fmt: skip
    serve_review(workspace, request, _show_json if as_json else _show)


def _show(started: Started) -> None:
    show_pairs([("batch", started.batch_id), ("images", started.n_images), ("mode", started.mode),
                *((one.name, one.url) for one in started.annotators)])  # fmt: skip
    if started.warning:
        tell(f"warning: {started.warning}")
    sys.stdout.flush()  # a pipe would keep it until the end
    tell("open a link in a browser; Ctrl-C ends the review")


def _show_json(started: Started) -> None:
    show_json(started)
    sys.stdout.flush()
