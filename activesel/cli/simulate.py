"""activesel simulate: whole flywheels on labelled images, with simulated people, beside twins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings
from activesel.cli.show import show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.simulation.story import Simulated


def simulate(
    oracle: Annotated[
        Path, typer.Option(metavar="FILE", show_default=False, help="Labels of all images: path,label, or a folder.")
    ],
    images: Annotated[
        str | None, typer.Argument(metavar="[IMAGES]", show_default=False, help="As `ingest` takes them; else the "
                                                                                "paths of --oracle.")
    ] = None,
    annotators: Annotated[
        Path | None, typer.Option(metavar="FILE", help="profile.yaml: who errs how often, takes how long, costs what.")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds.")] = 6,
    budget: Annotated[int, typer.Option(metavar="N", help="Images labelled a round.")] = 40,
    first: Annotated[int, typer.Option(metavar="N", help="Random labels before the first round.")] = 20,
    seeds: Annotated[int, typer.Option(metavar="N", help="Repeat with so many splits, paired between arms.")] = 1,
    good: Annotated[
        str | None, typer.Option(metavar="NAME", help="The class without a defect; else the most frequent.")
    ] = None,
    synthesis: Annotated[
        bool, typer.Option("--synthesis", help="Variants of rare defects, and a twin without.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to; a killed run goes on there.")] = Path("simulated"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; write nothing.")] = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Run whole flywheels with simulated people and costs.

    Half of the images, groups whole, is the pool; the other half tests the models and is seen by no round. Beside the
    flywheel runs a twin that picks at random, and with --synthesis one that makes no variants; all of them with the
    same first labels, people and budget. The page shows quality per label and per unit of money.

    \b
    Examples:
      activesel simulate --oracle labels.csv --rounds 6
      activesel simulate photos/ --oracle labels.csv --annotators profile.yaml --seeds 3 --set dataset.group_column=part
    """
    from activesel.simulation.files import write_simulation
    from activesel.simulation.people import read_profile
    from activesel.simulation.story import SimulateRequest, check_request, simulate
    from activesel.workspace import create_workspace

    request = SimulateRequest(oracle, read_profile(annotators), images, rounds, budget, first, seeds, good, synthesis)
    check_request(request)
    if dry_run:
        plan = {"rounds": rounds, "budget": budget, "first": first, "seeds": seeds, "folder": out}
        show_json(plan) if as_json else show_pairs(plan.items())
        tell("dry run: nothing was written")
        return
    overrides = tuple(settings or ())
    found = simulate(out.resolve(), create_workspace(out / "base", overrides), overrides, request)
    document = write_simulation(found, request, out)
    show_json({**document, "out": out, "report": out / "simulation.html"}) if as_json else _show(found, out)


def _show(found: Simulated, out: Path) -> None:
    from activesel.simulation.summary import summarise

    summary = summarise(found)
    show_pairs([
        ("images", f"{len(found.oracle.ids)} of {len(found.oracle.names)} classes, {found.n_pool[0]} in the pool"),
        ("all labels", f"macro-F1 {summary.everything['macro_f1']:.3f}"),
    ])  # fmt: skip
    print()
    show_table(("arm", "labels", "money", "macro-F1", "gain over random", "labels to all labels' - 0.02"), [
        (one.name, f"{one.n_labels:.0f}", f"{one.money:.2f}", f"{one.macro_f1:.3f}", one.gain,
         "never" if one.reached is None else f"{one.reached:.0f}")
        for one in summary.rows
    ])  # fmt: skip
    print()
    show_pairs([("curves", out / "curves.csv"), ("report", out / "simulation.html")])
