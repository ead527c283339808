"""activesel events: what the line reports, read from files or collected over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.pipelines.events import FileSummary
    from activesel.web.collect import Collecting

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  help="What the line reports: overrides, rework, returns.")  # fmt: skip
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", show_default=False, help="JSON or a JSON text a line; gzip or not."),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="cloudevents, segment, snowplow or ga4; else by the content."),
]


@app.command("ingest")
def ingest(
    files: Files,
    format_name: Format = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the files hold; store nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Bring events of files into the catalog.

    Each event once, by its source and id; what is none goes to the dead letters with the reason. Killed and run again,
    it ends the same.

    \b
    Example:
      activesel events ingest returns-2026-w12.ndjson line-3.json.gz
    """
    from activesel.pipelines.events import drain_leftovers, ingest_events

    workspace = open_workspace(workspace_dir, settings)
    if not dry_run:
        drain_leftovers(workspace)
    done = ingest_events(workspace, files, format_name=format_name, dry_run=dry_run)
    show_json(done) if as_json else _show_summary(done)
    if dry_run:
        tell("dry run: nothing was written")


@app.command("validate")
def validate(files: Files, format_name: Format = None, as_json: AsJson = False) -> None:
    """Say which events of files would be refused, and why.

    Needs no workspace. Ends with 3 where one would.

    \b
    Example:
      activesel events validate sample.json
    """
    from activesel.errors import DataError
    from activesel.pipelines.events import check_events

    done = check_events(files, format_name=format_name)
    show_json(done) if as_json else _show_summary(done)
    if done.n_dead:
        raise DataError("not all are events", found=f"{done.n_dead} that are none", hint="see docs/events.md")


@app.command("schema")
def schema(
    kind: Annotated[
        str | None, typer.Argument(metavar="TYPE", show_default=False, help="Such as operator.override; else a list.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write them all below DIR as an Iglu registry has them.")
    ] = None,
) -> None:
    """Print what a type of event must say, as a JSON Schema.

    \b
    Example:
      activesel events schema operator.override
      activesel events schema --out schemas/
    """
    from activesel.pipelines.events import find_schema, list_schemas, write_schemas

    if out is not None:
        tell(f"wrote {write_schemas(out)} schemas below {out}")
    elif kind is not None:
        show_json(find_schema(kind))
    else:
        show_pairs(list_schemas())


@app.command("serve")
def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 lets other machines send.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 = any free one.")] = 8087,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Collect events over HTTP.

    What was answered with 200 is on the disk, whatever happens to the process; a writer in the background brings it
    into the catalog. Senders need the token that is printed. Ctrl-C ends it.

    \b
    Example:
      activesel events serve --host 0.0.0.0 --port 8087
    """
    from activesel.web.collect import serve_events

    serve_events(open_workspace(workspace_dir, settings), host, port, _announce_json if as_json else _announce)


@app.command("stats")
def stats(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Count the events by type and source, and the dead.

    \b
    Example:
      activesel events stats
    """
    from activesel.pipelines.events import event_status

    found = event_status(open_workspace(workspace_dir, settings))
    if as_json:
        show_json(found)
        return
    counts = found.counts
    show_pairs([
        ("events", sum(counts.by_type.values())),
        ("types", show_counts(counts.by_type)),
        ("sources", show_counts(counts.by_source)),
        ("from", counts.first), ("to", counts.last),
        ("images", f"{counts.n_images} named, {counts.n_unknown} of them not known here yet"),
        ("dead letters", sum(counts.dead.values())),
        *(("", f"{n} x {reason}") for reason, n in list(counts.dead.items())[:5]),
        ("in the log", f"{found.backlog_bytes} bytes" if found.backlog_bytes else None),
    ])  # fmt: skip


@app.command("dead")
def dead(
    retry: Annotated[
        bool, typer.Option("--retry", help="Read them again; those that are events by now are stored.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="How many to show.")] = 20,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show what came as an event and is none, with the reason.

    \b
    Example:
      activesel events dead --retry
    """
    from activesel.pipelines.events import list_dead, retry_dead

    workspace = open_workspace(workspace_dir, settings)
    if retry:
        done = retry_dead(workspace)
        show_json(done) if as_json else show_pairs([("events by now", done.n_read), ("of them new", done.n_new),
                                                    ("still dead", done.n_left)])  # fmt: skip
        return
    letters = list_dead(workspace, most)
    if as_json:
        show_json(letters)
        return
    rows = [(one.received[:19], one.format, one.reason[:100], ascii(one.payload[:60])) for one in letters]
    show_table(("received", "format", "reason", "payload"), rows)


def _show_summary(done: FileSummary) -> None:
    show_pairs([
        ("events", f"{done.n_events}: {show_counts(done.by_type)}" if done.n_events else 0),
        ("new", done.n_new if done.stored else None),
        ("dead letters", done.n_dead),
        *(("", f"{where}: {reason}") for where, reason in done.problems),
    ])  # fmt: skip


def _announce(started: Collecting) -> None:
    left_over = f"{started.left_over_bytes} bytes, being stored" if started.left_over_bytes else None
    show_pairs([("collects at", started.url), ("token", started.token), ("left over", left_over),
                ("warning", started.warning)])  # fmt: skip
    sys.stdout.flush()
    tell("send events there (docs/events.md); Ctrl-C ends it")


def _announce_json(started: Collecting) -> None:
    show_json(started)
    sys.stdout.flush()
