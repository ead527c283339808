"""activesel synth prove: whether variants are worth training on, before anybody does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table

if TYPE_CHECKING:
    from activesel.pipelines.proof_files import Proof
    from activesel.pipelines.synthesise import GenerateRequest
    from activesel.promotion import Bound
    from activesel.workspace import Workspace

DEFAULT_OUT = Path("activesel-synth")


def prove(
    class_: Annotated[str | None, typer.Option("--class", metavar="NAME", help="The class; else the set's.")] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="path,label[,mask][,group]...; else the workspace's.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where relative paths start; else beside the label file.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "--set-dir", metavar="DIR", help="The set: already made, or where it goes.")
    ] = DEFAULT_OUT,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Images of a set that is not there yet.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Same inputs and seed, same verdict.")] = 0,
    good: Annotated[
        str | None, typer.Option(metavar="NAME", help="The class without a defect: its images are the hosts.")
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Draw by this recipe, too; auto = those that few real ones look like."),
    ] = None,
    group_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Of the labels: images of one part, lot or duplicate share it.")
    ] = "group",
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Parts that the real images are dealt into.")] = 5,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Times that they are dealt anew.")] = 2,
    fold_count: Annotated[int, typer.Option(metavar="N", min=1, help="Variants for each fold at most.")] = 100,
    most_fall: Annotated[
        float, typer.Option(metavar="AP", help="What another class may lose at the lower end of its interval.")
    ] = 0.01,
    embed: Annotated[bool, typer.Option("--embed/--no-embed", help="Judge realism and copies by the backbone.")] = True,
    accept_set_rules: Annotated[
        str | None, typer.Option(metavar="REASON", help="Why a set may pass that its own rules refuse; recorded.")
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Prove on real images that variants help, or ship nothing.

    The real images are dealt into folds, groups whole. Each fold is tested on by models that have seen the others
    alone, their augmented copies, or variants made from them, mixed with real examples. A set is promoted
    if the average precision of the class rises over both rivals with 95 % confidence and no other class falls; then
    weights.csv goes with it. The verdict is DIR/proof.json, and DIR/proof.html to look at. A set that the rules on it
    as a whole refuse (two-sample, null-paste, diversity) ends with exit code 4 unless --accept-set-rules says why.

    \b
    Examples:
      activesel synth prove --out cracks/
      activesel synth prove --labels labels.csv --images photos/ --class crack --count 500 --out cracks/
    """
    from activesel.pipelines.proof_files import as_json as to_json
    from activesel.pipelines.prove import ProveRequest
    from activesel.pipelines.prove import prove as run

    asked = {"good": good, "recipes": tuple(recipe or ()), "group_column": group_column, "count": count, "seed": seed}
    synthesis, workspace = _find_set(class_, labels, images, out, workspace_dir, settings, asked)
    request = ProveRequest(synthesis, repeats, folds, fold_count, most_fall, embed, accept_set_rules)
    proof = run(request, workspace, tuple(settings or ()))
    show_json({**to_json(proof), "out": out}) if as_json else _show(proof)


def _find_set(
    class_: str | None, labels: Path | None, images: Path | None, out: Path, workspace_dir: Path | None,
    settings: list[str] | None, asked: Mapping[str, object],
) -> tuple[GenerateRequest, Workspace | None]:  # fmt: skip
    """Return the request of the set that is there, or of the one to make, and the workspace if there is one."""
    from activesel.errors import UsageError
    from activesel.pipelines.prove import request_of_set
    from activesel.pipelines.synthesise import GenerateRequest, request_in_workspace

    known = request_of_set(out)
    if known is not None:
        if class_ not in (None, known.label):
            raise UsageError("the set shows another class", where=str(out), found=known.label, expected=class_,
                             hint="name the set's folder with --out")  # fmt: skip
        if labels is not None and labels.absolute() != known.labels:
            raise UsageError("the set was made from another label file", where=str(out), found=str(known.labels),
                             expected=str(labels), hint="name another --out")  # fmt: skip
        return known, open_workspace(workspace_dir, settings) if workspace_dir is not None else None
    if not class_:
        raise UsageError("no class is named, and no set is there", where=str(out), expected="--class NAME")
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    request = GenerateRequest(labels or Path(), class_, out, images, workers=workers, **asked)  # type: ignore[arg-type]
    if labels is not None:
        return request, open_workspace(workspace_dir, settings) if workspace_dir is not None else None
    workspace = open_workspace(workspace_dir, settings)
    return request_in_workspace(workspace, request), workspace


def _show(proof: Proof) -> None:
    show_pairs([
        ("verdict", f"{'PROMOTED' if proof.worth.is_promoted else 'not promoted'}: {proof.worth.reason}"),
        ("class", f"{proof.label}, {proof.n_images} real images of {proof.n_groups} groups"),
        ("share", f"{proof.share:.2f} of the class's weight; real images keep the rest" if proof.shares else None),
        *(("refused", reason) for reason in proof.refused),
        *(("note", note) for note in proof.notes),
    ])  # fmt: skip
    if proof.siblings:
        print()
        show_table(("sibling, cut to as many", *(f"gain over {rival}" for rival in proof.siblings)), [
            (name, *(f"{sum(found[name]) / len(found[name]):+.3f}" for found in proof.siblings.values()))
            for name in next(iter(proof.siblings.values()))
        ])  # fmt: skip
    if proof.precision:
        print()
        show_table(("trained on", "average precision", "variants gain"), [
            (arm, f"{value:.3f}", _say(proof.gains[arm]) if arm in proof.gains else "")
            for arm, value in proof.precision.items()
        ])  # fmt: skip
        print()
        show_table(("other class", "change"), [(name, _say(bound)) for name, bound in proof.others.items()])
    print()
    weights = proof.folder / "weights.csv" if proof.worth.is_promoted else "none: nothing is shipped"
    show_pairs([("proof", proof.folder / "proof.json"), ("weights", weights), ("page", proof.folder / "proof.html")])


def _say(bound: Bound) -> str:
    return f"{bound.mean:+.3f} ({bound.low:+.3f} to {bound.high:+.3f})"
