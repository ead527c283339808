"""activesel synth: plausible variants of rare defects, with masks and records."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table, tell
from activesel.cli.synth_prove import prove

if TYPE_CHECKING:
    from activesel.config import Config
    from activesel.pipelines.synthesise import GenerateRequest, Summary

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)
DEFAULT_OUT = Path("activesel-synth")
SetDir = Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="The folder of a finished set.")]


@app.callback()
def synth(
    context: typer.Context,
    class_: Annotated[str | None, typer.Option("--class", metavar="NAME", help="The class to make; required.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="path,label[,mask][,part][,group][,x0,y0,x1,y1]; else the workspace's."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where relative paths start; else beside the label file.")
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many images to keep.")] = 100,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the set goes.")] = DEFAULT_OUT,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Same inputs and seed, same bytes.")] = 0,
    good: Annotated[
        str | None, typer.Option(metavar="NAME", help="The class without a defect: its images are the hosts.")
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Draw by this recipe, too; auto = those that few real ones look like."),
    ] = None,
    recipe_share: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Proposals by recipes, 0..1; else 0.3, 1 without examples.")
    ] = None,
    blend: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="gradient, residual, alpha, ...; repeatable.")
    ] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", metavar="NAME", help="coco, yolo, imagefolder; repeatable.")
    ] = None,
    image_format: Annotated[
        str | None, typer.Option(metavar="NAME", help="jpg or png; else JPEG on JPEG hosts, PNG on others.")
    ] = None,
    part_mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the part is, one picture for all hosts; above 0 = part.")
    ] = None,
    group_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Of the labels: images of one part, lot or duplicate share it.")
    ] = "group",
    max_proposals: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Give up after so many; else 10 for each image wanted.")
    ] = None,
    fill_gaps: Annotated[
        bool, typer.Option("--fill-gaps", help="Keep what the gaps need that `activesel gaps` found; in a workspace.")
    ] = False,
    embed: Annotated[bool, typer.Option("--embed/--no-embed", help="Judge realism and copies by the backbone.")] = True,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Judge at all.")] = True,
    workers: Annotated[int, typer.Option(metavar="N", min=0, help="Processes; 0 = one per core.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be used; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make variants of a rare defect, with masks.

    Real defects of the class, or recipes, are drawn into images without it; each variant is labelled by what visibly
    changed, judged, and recorded so that it can be made again to the byte. Killed and run again, it goes on.

    With --fill-gaps, in a workspace after `activesel gaps`, variants are kept that land where the labelled images are
    thin, and every gap gets a verdict: closed, narrowed, covered or unreachable. Without --class each class with such a
    gap gets a set of its own in DIR.

    \b
    Examples:
      activesel synth --labels labels.csv --images photos/ --class crack --count 500 --seed 7 --out cracks/
      activesel synth --labels labels.csv --class scratch --recipe scratch --count 200 --out scratches/
      activesel synth --fill-gaps -w line-4 --out fillings/
    """
    if context.invoked_subcommand is not None:
        return
    wanted: dict[str, Any] = {
        "images": images, "count": count, "seed": seed, "good": good, "recipes": tuple(recipe or ()),
        "recipe_share": recipe_share, "blends": tuple(blend or ()), "formats": tuple(format_ or ("coco",)),
        "suffix": f".{image_format}" if image_format else None, "group_column": group_column,
        "most_proposals": max_proposals, "gated": gate, "part_mask": part_mask,
        "workers": workers or len(os.sched_getaffinity(0)),
    }  # fmt: skip
    if fill_gaps:
        from activesel.cli.synth_fill import fill

        fill(open_workspace(workspace_dir, settings), class_, labels, out, wanted, embed=embed, dry_run=dry_run,
             as_json=as_json)  # fmt: skip
        return
    from activesel.pipelines.synthesise import plan_synthesis, synthesise

    if dry_run:
        with tempfile.TemporaryDirectory() as folder:  # for a label file that nobody needs afterwards
            plan = plan_synthesis(
                *_read_request(class_, labels, out, workspace_dir, settings, folder=Path(folder), **wanted)
            )
        show_json(plan) if as_json else show_pairs(
            (name, "; ".join(value) if isinstance(value, list) else value) for name, value in plan.items()
        )
        tell("dry run: nothing was written")
        return
    request, config = _read_request(class_, labels, out, workspace_dir, settings, **wanted)
    summary = synthesise(request, config, embed=embed and gate)
    show_json({**vars(summary), "sheet": summary.folder / "sheet.html"}) if as_json else _show(summary)


app.command("prove")(prove)


@app.command("replay")
def replay(
    folder: SetDir,
    variant: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="As in records.jsonl.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the image made again.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Fail unless it equals the set's file to the byte.")] = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Make one image of a set again from its record.

    The whole block of 32 proposals that it came from is rendered again; the images that the label file names must
    still be there. With --check an image or mask that differs ends with exit code 3.

    \b
    Example:
      activesel synth replay cracks/ synth-crack-7-000031 --check
    """
    from activesel.config import load_config
    from activesel.errors import DataError
    from activesel.pipelines.synthesise import replay_variant
    from activesel.workspace import write_atomic

    done = replay_variant(folder, variant, load_config(None, settings or ()))
    if out is not None:
        write_atomic(out, done.image)
    if check and not done.is_equal:
        raise DataError("made again, it differs from the set's file", where=variant, found="; ".join(done.notes) or
                        "the same versions", expected="equal bytes")  # fmt: skip
    if as_json:
        show_json({"id": variant, "is_equal": done.is_equal, "notes": done.notes, "out": out})
        return
    show_pairs([("image", variant), ("equal", "yes" if done.is_equal else "no"),
                *(("note", note) for note in done.notes), ("file", out)])  # fmt: skip


@app.command("review")
def review(
    folder: SetDir,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="decisions.json that the contact sheet saved.")
    ] = None,
    accept: Annotated[list[str] | None, typer.Option(metavar="ID", help="Accept one image; repeatable.")] = None,
    reject: Annotated[list[str] | None, typer.Option(metavar="ID", help="Reject one image; repeatable.")] = None,
    undo: Annotated[list[str] | None, typer.Option(metavar="ID", help="Forget a decision; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remember what a person accepted and rejected.

    Rejected images move to DIR/rejected and leave labels.csv and the other formats; --undo or --accept brings them
    back. Without a decision, the counts are shown.

    \b
    Examples:
      activesel synth review cracks/ --decisions ~/Downloads/decisions.json
      activesel synth review cracks/ --reject synth-crack-7-000031
    """
    from activesel.pipelines.synthesise import review_set

    done = review_set(folder, decisions, accept or [], reject or [], undo or [])
    if as_json:
        show_json(done)
        return
    show_pairs([("images", done.n_images), ("accepted", done.n_accepted), ("rejected", done.n_rejected),
                ("sheet", folder / "sheet.html")])  # fmt: skip


@app.command("recipes")
def recipes(as_json: AsJson = False) -> None:
    """List the recipes, which need no real example.

    \b
    Example:
      activesel synth recipes
    """
    from activesel.pipelines.synthesise import list_recipes

    rows = list_recipes()
    if as_json:
        show_json([{"name": name, "about": about} for name, about in rows])
        return
    show_table(("recipe", "what it draws"), rows)


def _read_request(
    class_: str | None, labels: Path | None, out: Path, workspace_dir: Path | None, settings: list[str] | None,
    *, folder: Path | None = None, **wanted: object,
) -> tuple[GenerateRequest, Config]:  # fmt: skip
    """Return the request, and the settings of the workspace or, where a label file is named, the defaults."""
    from activesel.config import load_config
    from activesel.errors import UsageError
    from activesel.pipelines.synthesise import GenerateRequest, request_in_workspace

    if not class_:
        raise UsageError("no class is named", expected="--class NAME", hint="see `activesel synth --help`")
    request = GenerateRequest(labels or Path(), class_, out, **wanted)  # type: ignore[arg-type]
    if labels is not None and workspace_dir is None:
        return request, load_config(None, settings or ())
    workspace = open_workspace(workspace_dir, settings)
    return request_in_workspace(workspace, request, folder=folder), workspace.config


def _show(summary: Summary) -> None:
    show_pairs([
        ("kept", f"{summary.n_kept} images of {summary.label} from {summary.n_proposals} proposals"),
        ("stopped", summary.stopped),
        *(("REFUSED", reason) for reason in summary.refused),
        ("unchanged", "the same was asked before, so this is that set" if summary.reused else None),
        *(("note", note) for note in summary.notes),
    ])  # fmt: skip
    print()
    show_table(("proposals", "number"), [list(row) for row in summary.funnel])
    print()
    if summary.verdicts:
        show_table(("the set as a whole", "measured", "verdict"), [_say(one) for one in summary.verdicts])
        print()
    show_pairs([("labels", summary.folder / "labels.csv"), ("sheet", summary.folder / "sheet.html")])


def _say(verdict: Mapping[str, Any]) -> tuple[str, str, str]:
    value = "" if verdict["value"] is None else f"{verdict['value']:.2f}"
    reason = verdict["reason"] or "ok"
    return verdict["rule"], value, reason if verdict["ok"] else f"refused: {reason}"
