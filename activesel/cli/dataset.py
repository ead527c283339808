"""activesel dataset: versions of the data to train and test on, each with its card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.dataset import Difference

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  help="Versions of the data to train and test on.")  # fmt: skip


@app.command("build")
def build(
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose newest version this one follows.")] = "default",
    include: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A set of `activesel synth`, to train on; repeatable.")
    ] = None,
    accept_refused: Annotated[
        str | None, typer.Option(metavar="REASON", help="Let sets in that their own rules refuse, and say why.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be in it; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Freeze what counts at present as a version.

    Groups of near-duplicates, parts and lots stay on one side; evaluation images test; variants and weak labels train.
    The same labels give the same version.

    \b
    Example:
      activesel dataset build --include cracks/ --set dataset.group_column=part
    """
    from activesel.pipelines.dataset import BuildRequest, build_dataset

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("dataset build"):
        built = build_dataset(workspace, BuildRequest(name, tuple(include or ()), accept_refused, dry_run))
    if as_json:
        show_json(built)
        return
    for note in built.notes:
        print(f"note: {note}")
    show_pairs([
        ("version", built.version + ("" if built.is_new else " (there already)")),
        ("images", built.n_images),
        *((side, f"{sum(counts.values())}: {show_counts(dict(counts))}") for side, counts in built.counts.items()
          if counts),
        *(("left out", f"{number}: {reason}") for reason, number in built.left_out.items()),
        ("since", _describe(built.since) if built.since is not None else None),
        ("card", built.folder / "card.html" if built.folder is not None else None),
    ])  # fmt: skip
    if dry_run:
        tell("dry run: nothing was written")


@app.command("list")
def list_(workspace_dir: WorkspaceDir = None, as_json: AsJson = False) -> None:
    """List the versions, the oldest first.

    \b
    Example:
      activesel dataset list
    """
    from activesel.pipelines.dataset_files import list_datasets

    found = list_datasets(open_workspace(workspace_dir))
    if as_json:
        show_json(found)
    elif found:
        show_table(("version", "name", "made", "images", "classes"),
                   [(one.version, one.name, one.made, one.n_images, one.n_classes) for one in found])  # fmt: skip
    else:
        print("no dataset yet: activesel dataset build")


@app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(metavar="A", show_default=False, help="A version, or a name.")],
    after: Annotated[str, typer.Argument(metavar="B", show_default=False, help="Another.")],
    workspace_dir: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed from version A to version B.

    \b
    Example:
      activesel dataset diff 3f1c 90ab
    """
    from activesel.pipelines.dataset import compare_datasets

    found = compare_datasets(open_workspace(workspace_dir), before, after)
    if as_json:
        show_json(found)
        return
    print(_describe(found))
    for what, changed in (("label", found.labels), ("state", found.states), ("side", found.splits)):
        for image_id, (was, now) in changed.items():
            print(f"{what}  {image_id}  {was} -> {now}")


@app.command("verify")
def verify(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", show_default=False, help="A version or name; else the newest.")
    ] = None,
    workspace_dir: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Hash every file of a version again.

    The exit code is 3 where a file is gone or holds another image.

    \b
    Example:
      activesel dataset verify
    """
    from activesel.errors import DataError
    from activesel.pipelines.dataset import verify_dataset

    found = verify_dataset(open_workspace(workspace_dir), version)
    if as_json:
        show_json(found)
    elif not found.wrong:
        print(f"{found.version}: {found.n_images} images, each as it was")
    if found.wrong:
        path, why = next(iter(found.wrong.items()))
        raise DataError(f"{len(found.wrong)} of {found.n_images} images are not what they were", where=found.version,
                        found=f"{path}: {why}", hint="put them back, or build another version")  # fmt: skip


def _describe(found: Difference) -> str:
    text = (f"{len(found.added)} added, {len(found.removed)} removed, {len(found.labels)} labels, {len(found.states)} "
            f"states and {len(found.splits)} sides changed")  # fmt: skip
    return text + (f"; {len(found.leaked)} TRAINED BEFORE AND TEST NOW" if found.leaked else "")
