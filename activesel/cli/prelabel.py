"""activesel prelabel: what a model takes the images of a batch for, before people say it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, tell

if TYPE_CHECKING:
    from activesel.anchoring import Anchoring, Arm
    from activesel.workspace import Workspace


def prelabel(
    batch: Batch = None,
    pool: Annotated[bool, typer.Option("--pool", help="Every image without a label, instead of a batch.")] = False,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your model's, with boxes if it has any; else the head's.")
    ] = None,
    auto_accept: Annotated[
        bool, typer.Option("--auto-accept", help="Let what held-out images prove count, as weak labels.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Say whether people follow pre-labels because they see them, and stop.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Predict and say so; store nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Predict a batch before people label it.

    Each pre-label is stored as a model's opinion with its calibrated confidence; whether it is shown is the task's
    business. With --auto-accept a class's pre-labels count, as weak labels that never test, from the confidence on that
    images held out have proved; where nothing is proved nothing is accepted. The head says classes only; boxes and
    polygons to correct come from a file of your detector's (docs/formats_predictions.md).

    \b
    Examples:
      activesel prelabel 3
      activesel prelabel --predictions detector.parquet
      activesel prelabel --pool --auto-accept --dry-run
      activesel prelabel --measure
    """
    from activesel.pipelines import prelabel as story

    workspace = open_workspace(workspace_dir, settings)
    if measure:
        _measure(workspace, as_json=as_json)
        return
    request = story.PrelabelRequest(batch, pool, predictions, auto_accept, dry_run)
    with workspace.lock("prelabel"):
        done = story.prelabel(workspace, request)
    if as_json:
        show_json(done)
        return
    for note in done.notes:
        print(f"note: {note}")
    show_pairs([
        ("model", done.model),
        ("pre-labels", f"{done.n_images}: {show_counts(done.counts)}" if done.counts else done.n_images),
        ("shapes", show_counts(done.n_shapes) or "none" if done.n_shapes is not None else None),
        ("new", done.n_new),
        ("confidence", f"{done.mean_confidence:.2f} on average" if done.mean_confidence is not None else None),
        ("calibration", f"off by {done.ece:.3f} (ECE, {done.n_held_out} images held out)"
         if done.ece is not None else "not known"),
        *((f"accept {name}", f"from {one.value:.3f} on: {one.precision:.3f} are right, {one.escaped:.1%} of others pass"
           if one.value is not None else f"not proved: {one.why}") for name, one in done.thresholds.items()),
        ("accepted", f"{done.n_accepted} as weak labels" if auto_accept else None),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")


def _measure(workspace: Workspace, *, as_json: bool) -> None:
    from activesel.pipelines.anchoring import read_anchoring

    found = read_anchoring(workspace)
    if as_json:
        show_json(found)
        return
    show_pairs([("shown", _describe(found.shown)), ("hidden", _describe(found.hidden)), ("anchoring", _verdict(found))])


def _describe(arm: Arm) -> str:
    share = f", {arm.n_same / arm.n:.1%} as the pre-label" if arm.n else ""
    return f"{arm.n} opinions{share}" + (f", {arm.median_s:.1f} s" if arm.median_s is not None else "")


def _verdict(found: Anchoring) -> str:
    if found.difference is None or found.p is None:
        return "cannot be measured: it takes opinions with the pre-label shown, and with it hidden"
    one = found.difference
    times = f"; {found.time_ratio:.2f} times the time" if found.time_ratio is not None else ""
    return f"{one.value:+.1%} ({one.low:+.1%} .. {one.high:+.1%}), p = {found.p:.3f}{times}"
