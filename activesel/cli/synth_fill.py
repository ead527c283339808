"""activesel synth --fill-gaps: variants for the gaps that `activesel gaps` found, and one verdict each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activesel.cli.show import show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.pipelines.fill import Filling
    from activesel.workspace import Workspace


def fill(
    workspace: Workspace, label: str | None, labels: Path | None, out: Path, wanted: Mapping[str, Any], *,
    embed: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Fill the gaps of a workspace, or say which with ``dry_run``. wanted: what every class is asked for."""
    from activesel.pipelines import fill as story
    from activesel.pipelines.synthesise import GenerateRequest

    request = story.FillRequest(GenerateRequest(labels or Path(), label or "", out, **wanted), label, embed)
    if dry_run:
        _show_plan(story.plan_filling(workspace, request), as_json=as_json)
        tell("dry run: nothing was written")
        return
    filling = story.fill(workspace, request)
    show_json({**story.as_json(filling), "out": out}) if as_json else _show(filling)


def _show_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(plan)
        return
    for note in plan["notes"]:
        print(f"note: {note}")
    rows = [(one["rank"], one["name"], one["missing"], one["set"]) for one in plan["gaps"]]
    show_table(("rank", "gap", "missing", "set"), rows) if rows else print("no gap is to be synthesised")


def _show(filling: Filling) -> None:
    for note in filling.notes:
        print(f"note: {note}")
    if not filling.outcomes:
        print("no gap is to be synthesised: `activesel gaps` says what each takes")
        return
    show_table(("rank", "gap", "verdict", "coverage", "kept"), [
        (one.rank, one.name, one.outcome, f"{one.before:.0%} to {one.after:.0%}", one.n_kept)
        for one in filling.outcomes
    ])  # fmt: skip
    for one in filling.outcomes:
        print(f"\n{one.rank}. {one.outcome}: {one.name}: {one.reason}")
        if one.command:
            print(f"   {one.command}")
    print()
    show_pairs([
        *((f"set {one.label}", f"{one.n_kept} images; {one.stopped}") for one in filling.sets),
        *(("REFUSED", f"{one.label}: {reason}") for one in filling.sets for reason in one.refused),
        *(("sheet", one.folder / "sheet.html") for one in filling.sets),
        ("gaps", filling.folder / "gaps.json"),
    ])  # fmt: skip
