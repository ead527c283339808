"""activesel adjudicate: what waits for an expert, and what the expert says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table, tell

app = typer.Typer(help="Decide what people could not agree on.", no_args_is_help=True)


@app.command("list")
def list_(
    batch: Batch = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="Images to print at most; 0 = all.")] = 50,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """List the images that wait for an expert, with reasons.

    The most pressing first: people disagree, their shapes do not match, somebody could not tell, the consensus is not
    sure, a sure model or the line's events contradict people, a known answer was missed; and a small share of the
    agreed ones, drawn at random, because people may be wrong together. What an expert has decided is out.

    \b
    Example:
      activesel adjudicate list 0003
    """
    from activesel.pipelines.adjudicate import queue
    from activesel.pipelines.export import find_batch

    workspace = open_workspace(workspace_dir, settings)
    batch_id = find_batch(workspace, batch)
    items = queue(workspace, batch_id)
    shown = items[: limit or len(items)]
    if as_json:
        show_json({"schema_version": 1, "batch_id": batch_id, "images": len(items),
                   "queue": [asdict(item) for item in shown]})  # fmt: skip
        return
    if not items:
        print("nothing waits for an expert")
        return
    show_table(("rank", "image", "why", "reasons"),
               [(item.rank, item.image_id, item.code.value, "; ".join(item.reasons)) for item in shown])  # fmt: skip
    if len(shown) < len(items):
        tell(f"... and {len(items) - len(shown)} more; --limit 0 prints all")


@app.command("set")
def set_(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image id, or the path of a file.")],
    expert: Annotated[str, typer.Option(metavar="WHO", help="Who decides.")],
    class_: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="The class.", show_default=False)
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="The image shall not be used at all.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept beside the verdict.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Record an expert's verdict, which counts from now on.

    What others said of the image is kept. `activesel qc` never overwrites a verdict; a later one of an expert does.

    \b
    Examples:
      activesel adjudicate set photos/0017.png --class crack --expert eve
      activesel adjudicate set photos/0018.png --reject --reason "wrong part" --expert eve
    """
    from activesel.errors import UsageError
    from activesel.pipelines.adjudicate import decide, find_image

    if (class_ is None) != reject:
        raise UsageError("one verdict is needed", expected="either --class NAME or --reject")
    workspace = open_workspace(workspace_dir, settings)
    image_id = find_image(workspace, image)
    if not dry_run:
        with workspace.lock("adjudicate"):
            decide(workspace, image_id, class_, expert, reason=reason)
    state = "rejected" if reject else "adjudicated"
    verdict = {"image_id": image_id, "class": class_, "state": state, "expert": expert,
               "reason": reason}  # fmt: skip
    if as_json:
        show_json({"schema_version": 1, **verdict})
        return
    show_pairs(list(verdict.items()))
    if dry_run:
        tell("dry run: nothing was written")
