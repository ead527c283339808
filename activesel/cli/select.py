"""activesel select: choose the images most worth labelling."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, tell
from activesel.errors import hide_passwords

if TYPE_CHECKING:
    from activesel.pipelines.select import BatchResult, SelectRequest
    from activesel.workspace import Workspace

DEFAULT_OUT = Path("activesel-batch")
N_SHOWN = 5
REUSED = "the same was asked before, so this is that batch; another --seed gives another"


def select(
    budget: Annotated[float, typer.Option(metavar="N", help="How many images; with --cost, how much to spend.")],
    images: Annotated[
        str | None,
        typer.Argument(metavar="IMAGES", show_default=False,
                       help="A folder, glob, manifest or COCO file; without it, the workspace's images."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Labels known so far.")] = None,
    strategy: Annotated[str | None, typer.Option(metavar="NAME", help="See `activesel strategies`.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the strategy; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the batch goes; with IMAGES ./activesel-batch unless said.",
                     show_default=False),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your model's: image_id or path, probs; optional mc_probs.")
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(metavar="FILE", help="Your vectors, .npy; with --ids.")] = None,
    ids: Annotated[Path | None, typer.Option(metavar="FILE", help="The image id or path of each vector.")] = None,
    exemplars: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="More like these: an image, a folder, or a .txt of ids or paths."),
    ] = None,
    focus: Annotated[
        str | None, typer.Option(metavar="CLASS", help="More of this rare class, as labels or --exemplars show it.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE[,VALUE]", help="Only images whose metadata say so.")
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=RULE", help="station=A:30,B:5-20 or station=equal or class=crack:50; repeatable."),
    ] = None,
    cost: Annotated[str | None, typer.Option(metavar="COLUMN", help="Metadata column with each image's cost.")] = None,
    explore: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share of the budget drawn at random, 0..1.")
    ] = None,
    evaluation: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share drawn at random for testing only, 0..1.")
    ] = None,
    group_cap: Annotated[
        int | None, typer.Option(metavar="N", help="Picks per group of near-duplicates; 0 = no cap.")
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Refuse to use more memory than this, e.g. 4GB.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Same inputs and seed, same picks.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Choose the images most worth labelling.

    Each pick has a reason, and a picture in the report. With IMAGES no project is needed; without, the workspace's
    images are the pool.

    \b
    Examples:
      activesel select photos/ --budget 200 --labels labels.csv
      activesel select --budget 5000 --explore 0.05 --quota station=equal
      activesel select --budget 50 --focus crack --exemplars cracks/
    """
    from activesel.pipelines.select import SelectRequest

    strategy = strategy or (None if focus is None else "focus")
    flags = {"selection.strategy": strategy, "selection.explore": explore, "selection.evaluation": evaluation,
             "selection.memory_limit": memory_limit, "duplicates.group_cap": group_cap, "seed": seed}  # fmt: skip
    overrides = [*(settings or ()), *_as_settings(flags), *_option_settings(option or ())]
    request = SelectRequest(
        budget, where=tuple(where or ()), quotas=tuple(quota or ()), cost=cost, predictions=predictions,
        embeddings=embeddings, ids=ids, exemplars=exemplars, focus=focus,
        command=hide_passwords(shlex.join(["activesel", *sys.argv[1:]])),
    )  # fmt: skip
    if images is not None and workspace_dir is None:
        out = out or DEFAULT_OUT
    if dry_run:
        _show_plan(request, images, labels, out, workspace_dir, overrides, as_json=as_json)
        return
    result, folder = _select(request, images, labels, out, workspace_dir, overrides)
    _show_json(result, folder) if as_json else _show_result(result, folder)


def _as_settings(flags: Mapping[str, object]) -> list[str]:
    """Write flags as --set would have it; JSON is YAML, so a strategy called "on" stays text."""
    return [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]


def _option_settings(options: Sequence[str]) -> list[str]:
    from activesel.errors import UsageError

    for text in options:
        if "=" not in text.strip("="):
            raise UsageError("cannot read an option", where=f"--option {text}", expected="KEY=VALUE")
    return [f"selection.options.{text}" for text in options]


def _select(
    request: SelectRequest, images: str | None, labels: Path | None, out: Path | None, workspace_dir: Path | None,
    overrides: Sequence[str],
) -> tuple[BatchResult, Path]:  # fmt: skip
    """Open the workspace, hold its lock, run the pipeline; return the batch and the folder to show."""
    from activesel.pipelines.labels import import_labels
    from activesel.pipelines.oneshot import place_batch, select_from_source
    from activesel.pipelines.select import select_batch

    workspace = _open(images, out, workspace_dir, overrides, create=True)
    with workspace.lock("select"):
        if images is not None:
            result = select_from_source(workspace, images, request, labels=labels)
        else:
            if labels is not None:
                import_labels(workspace, labels)
            result = select_batch(workspace, request)
        if out is not None:
            place_batch(result.folder, out)
    return result, out or result.folder


def _open(
    images: str | None, out: Path | None, workspace_dir: Path | None, overrides: Sequence[str], *, create: bool
) -> Workspace:
    from activesel.pipelines.oneshot import open_output
    from activesel.workspace import create_workspace

    if images is None or workspace_dir is not None or out is None:
        return open_workspace(workspace_dir, overrides)
    workspace = open_output(out, overrides)
    return create_workspace(out, overrides) if create else workspace


def _show_plan(
    request: SelectRequest, images: str | None, labels: Path | None, out: Path | None, workspace_dir: Path | None,
    overrides: Sequence[str], *, as_json: bool,
) -> None:  # fmt: skip
    from activesel.pipelines.limits import describe_plan
    from activesel.pipelines.oneshot import plan_from_source
    from activesel.pipelines.select import plan_batch

    workspace = _open(images, out, workspace_dir, overrides, create=False)
    if images is not None:
        plan = plan_from_source(workspace, images, request, labels=labels)
    else:
        plan = plan_batch(workspace, request)
    if as_json:
        show_json(plan)
        return
    use = plan.pop("plan", None)
    show_pairs([(name, show_counts(value) if isinstance(value, dict) else value) for name, value in plan.items()])
    for line in describe_plan(use) if use is not None else ():
        print(line)
    tell("dry run: nothing was written")


def _show_json(result: BatchResult, folder: Path) -> None:
    show_json({**vars(result), "n_picks": result.n_picks, "out": folder, "report": folder / "report.html"})


def _show_result(result: BatchResult, folder: Path) -> None:
    shown = [f"{pick.rank}. {Path(pick.path).name}: {pick.reason}" for pick in result.picks[:N_SHOWN]]
    more = [f"... and {result.n_picks - N_SHOWN} more"] if result.n_picks > N_SHOWN else []
    show_pairs([
        ("picked", f"{result.n_picks} images by {result.strategy}"),
        ("kinds", show_counts(result.n_by_kind) if len(result.n_by_kind) > 1 else None),
        ("unchanged", REUSED if result.reused else None),
        *(("note", note) for note in result.notes),
        *(("first" if i == 0 else " ", line) for i, line in enumerate(shown + more)),
        ("worth", result.worth_text),
        ("batch", folder / "batch.csv"),
        ("report", folder / "report.html"),
    ])  # fmt: skip
