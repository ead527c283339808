"""activesel evaluate: what a model is worth on images that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table

if TYPE_CHECKING:
    from activesel.pipelines.evaluate import Evaluated
    from activesel.proof import Interval


def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", show_default=False, help="Id or alias; else the newest model.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Whose test images measure; else the newest version's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and print; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on images that it has not seen.

    Recall at a fixed false-reject rate, its threshold fitted on the validation side, AUPRC, macro-F1, calibration and
    confusion, of all, per class and per slice, with intervals; evaluation.json and a page with pictures in its folder.

    \b
    Example:
      activesel evaluate champion
    """
    from activesel.pipelines.evaluate import evaluate_model

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("evaluate"):
        found = evaluate_model(workspace, model, dataset, dry_run=dry_run)
    show_json({**found.document, "report": found.page, "file": found.file}) if as_json else _show(found)


def _show(found: Evaluated) -> None:
    worth, images = found.worth, found.images
    n_stream = int(images.is_stream.sum())
    show_pairs([
        ("model", found.card.model_id),
        ("tested on", f"{worth.n} images of {worth.n_groups} parts, {n_stream} drawn at random (test set "
                      f"{images.digest})"),
        ("threshold", None if worth.threshold is None else f"{worth.threshold:.4f}"),
        ("recall", _say(worth.recall)), ("false rejects", _say(worth.false_rejects)), ("AUPRC", _say(worth.auprc)),
        ("macro-F1", _say(worth.macro_f1)), ("accuracy", _say(worth.accuracy)),
        ("calibration", f"{_say(worth.calibration)}, classwise {_say(worth.classwise)}"),
        *(("note", note) for note in images.notes),
    ])  # fmt: skip
    print()
    show_table(("class", "parts", "called a defect" if worth.threshold is not None else "", "F1", "AUPRC"),
               [(found.classes[one.code], one.n_groups, _say(one.found) or "", _say(one.f1), _say(one.auprc))
                for one in worth.classes])  # fmt: skip
    print()
    show_table(("part or slice", "parts", "recall", "false rejects"),
               [(name, one.n_groups, _say(one.recall) or "-", _say(one.false_rejects) or "-")
                for name, one in worth.parts.items()])  # fmt: skip
    print()
    show_pairs([("report", found.page)])


def _say(one: Interval | None) -> str | None:
    return None if one is None else f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
