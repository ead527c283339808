"""activesel train: a model from a version of the dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, tell


def train(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", show_default=False, help="A version or name; else the newest.")
    ] = None,
    trainer: Annotated[
        str | None, typer.Option(metavar="NAME", help="head, fine-tune or command; else as training.trainer says.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the trainer; repeatable.")
    ] = None,
    pool: Annotated[bool, typer.Option("--pool", help="Predict every image of the catalog, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Train again although the model is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on a version of the dataset, and predict it.

    The model is a folder under .activesel/models with its card, checkpoint and predictions.parquet. The same version,
    trainer, options and seed are the same model: a second run finds it, and one that was killed is gone on with. Test
    labels never reach a trainer.

    \b
    Examples:
      activesel train
      activesel train --trainer head --option strength=0.1 --pool
    """
    from activesel.pipelines import train as story

    workspace = open_workspace(workspace_dir, settings)
    request = story.TrainRequest(dataset, trainer, parse_pairs(option or []), pool, force, dry_run)
    with workspace.lock("train"):
        done = story.train(workspace, request)
    if as_json:
        show_json(done)
        return
    for note in done.notes:
        print(f"note: {note}")
    show_pairs([
        ("model", done.model_id + ("" if done.is_new or dry_run else " (was there)")),
        ("trainer", done.trainer),
        ("dataset", f"{done.dataset}: {show_counts(dict(done.counts))}"),
        ("classes", ", ".join(done.classes) + (f"; good is {done.good}" if done.good else "")),
        ("predicted", f"{done.n_predicted} images"),
        ("folder", done.folder),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")


def parse_pairs(texts: list[str]) -> dict[str, object]:
    """Return KEY=VALUE texts as a mapping, values read as YAML."""
    import yaml

    from activesel.errors import UsageError

    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError("cannot read an option", found=repr(text), expected="KEY=VALUE")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            found[key] = value
    return found
