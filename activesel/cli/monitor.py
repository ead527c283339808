"""activesel monitor: whether the flywheel goes wrong, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table

if TYPE_CHECKING:
    from activesel.pipelines.monitor import Watched


def monitor(
    window: Annotated[
        str | None,
        typer.Option(metavar="WINDOW", show_default=False,
                     help="Recent images: 500 (the last ingested), 'time>=2026-11-01', lot=7, or events:500; else the "
                          "newest quarter by their time."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="WINDOW", show_default=False,
                     help="What they are compared with: the same forms, or training; else all other images."),
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(metavar="FILE", help="Your vectors, .npy; with --ids.")] = None,
    ids: Annotated[Path | None, typer.Option(metavar="FILE", help="The image id or path of each vector.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where page and files go; else the workspace's own folder.",
                                  show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and print; write no page.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Watch for blind spots, drift and feedback on itself.

    Compares what images drawn at random say with what chosen ones do, looks at operators' overrides, at regions nobody
    picks from, and whether recent images are as those before. Ends with 0 if all is quiet, with 4 if something asks for
    action now, and with 5 if there is too little to tell.

    \b
    Examples:
      activesel monitor
      activesel monitor --window 500 --json
      activesel monitor --window 'time>=2026-11-01' --reference 'time<2026-03'
    """
    from activesel.pipelines.monitor import MonitorRequest, watch_workspace
    from activesel.pipelines.monitor_files import as_json as to_json
    from activesel.pipelines.monitor_files import monitor_folder, write_monitor

    workspace = open_workspace(workspace_dir, settings)
    folder = out or monitor_folder(workspace)
    request = MonitorRequest(window, reference, embeddings, ids)
    with workspace.lock("monitor"):
        watched = watch_workspace(workspace, request, None if dry_run else folder)
        document = to_json(watched) if dry_run else write_monitor(workspace, watched, folder)
    page = None if dry_run else folder / "monitor.html"
    show_json({**document, "report": page}) if as_json else _show(watched, page)
    _end(watched)


def _show(watched: Watched, page: Path | None) -> None:
    for note in watched.notes:
        print(f"note: {note}")
    show_table(("state", "monitor", "of", "what is seen"),
               [(one.state.value, one.monitor, one.subject, one.value) for one in watched.readings])  # fmt: skip
    for one in watched.readings:
        if one.command:
            print(f"\n{one.monitor}{f' ({one.subject})' if one.subject else ''}: {one.reason}\n   {one.command}")
    print()
    show_pairs([("report", page)])


def _end(watched: Watched) -> None:
    from activesel.errors import InconclusiveError, RefusedError
    from activesel.monitoring import State
    from activesel.pipelines.monitor_files import say

    said = "; ".join(say(one) for one in watched.readings if one.state is watched.state)
    if watched.state is State.act:
        raise RefusedError("something asks for action now", found=said)
    if watched.state is State.unknown:
        raise InconclusiveError("there is too little to tell", found=said)
