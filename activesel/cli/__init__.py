"""The command line: one file per noun or verb, put together here. Heavy imports wait inside the commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer

from activesel import __version__
from activesel.cli import (
    ab,
    adjudicate,
    assign,
    bench,
    bring_in,
    config,
    dataset,
    doctor,
    embed,
    evaluate,
    events,
    export,
    export_model,
    feedback,
    gaps,
    gate,
    ingest,
    init,
    label_errors,
    label_studio,
    models,
    monitor,
    prelabel,
    qc,
    report,
    review,
    rounds,
    select,
    serve,
    simulate,
    status,
    strategies,
    synth,
    train,
    weak,
)
from activesel.cli.failures import Terminated, report_failure

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"activesel {__version__}")
        raise typer.Exit


@app.callback()
def activesel(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Choose the inspection images most worth labelling, each with a reason.

    \b
    Example, without a project:
      activesel select IMAGES --budget 200
    Example, for a recurring job:
      activesel init && activesel ingest IMAGES && activesel select --budget 200
    """


app.command("init")(init.init)
app.command("ingest")(ingest.ingest)
app.command("embed")(embed.embed)
app.command("select")(select.select)
app.command("gaps")(gaps.gaps)
app.command("assign")(assign.assign)
app.command("qc")(qc.qc)
app.command("status")(status.status)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("import")(bring_in.bring_in)
app.command("review")(review.review)
app.add_typer(label_studio.app, name="label-studio")
app.command("prelabel")(prelabel.prelabel)
app.command("monitor")(monitor.monitor)
app.command("serve")(serve.serve)
app.command("ab")(ab.ab)
app.command("bench")(bench.bench)
app.command("strategies")(strategies.strategies)
app.add_typer(adjudicate.app, name="adjudicate")
app.add_typer(synth.app, name="synth")
app.command("label-errors")(label_errors.label_errors)
app.add_typer(weak.app, name="weak")
app.add_typer(dataset.app, name="dataset")
app.add_typer(rounds.app, name="round")
app.command("simulate")(simulate.simulate)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("gate")(gate.gate)
app.add_typer(models.app, name="models")
app.add_typer(events.app, name="events")
app.add_typer(feedback.app, name="feedback")
models.app.command("export")(export_model.export_model)
app.add_typer(config.app, name="config")
app.command("doctor")(doctor.doctor)


def main() -> NoReturn:
    """Run the command that sys.argv names and exit with its code (docs/exit_codes.md)."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:] or ["--help"]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every failure becomes a line on stderr."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("activesel", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()  # a reader that went away is noticed here, not in the interpreter's last breath
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where every failure ends
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return report_failure(error)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated
