"""activesel bench: which strategy learns fastest on images whose labels are known."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings
from activesel.cli.show import show_counts, show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.benchmark.outcome import Estimate, Standing
    from activesel.benchmark.story import BenchRequest, BenchResult
    from activesel.workspace import Workspace

DEFAULT_STRATEGIES = "default,k-center,badge,margin"


class StartChoice(StrEnum):
    none = "none"
    one_per_class = "one-per-class"
    random = "random"


class HeadChoice(StrEnum):
    tuned = "tuned"
    fixed = "fixed"


def bench(
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGES", show_default=False,
                       help="A folder, glob, manifest or COCO file; or an .npz of vectors, labels and groups."),
    ],
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="The label of every image.")] = None,
    group_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of the labels or the manifest: images of one group stay on one side."),
    ] = None,
    strategies: Annotated[
        str, typer.Option(metavar="A,B", help="Names, with options as NAME/KEY=VALUE, or peers as ska:CoreSet.")
    ] = DEFAULT_STRATEGIES,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images labelled per round.")] = 20,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Batches per curve.")] = 8,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Splits, the same for every strategy.")] = 10,
    start: Annotated[
        StartChoice, typer.Option(metavar="NAME", help="Labelled before the first batch: none, one-per-class, random.")
    ] = StartChoice.none,
    head: Annotated[
        HeadChoice, typer.Option(metavar="NAME", help="The model: tuned on its labels, or fixed in advance.")
    ] = HeadChoice.tuned,
    components: Annotated[
        int, typer.Option(metavar="N", min=0, help="Dimensions that vectors are reduced to; 0 = all.")
    ] = 128,
    good: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The class that is no defect; else the most frequent.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go, finished trials with them.")] = Path(
        "activesel-bench"
    ),
    workers: Annotated[int, typer.Option(metavar="N", min=0, help="Processes; 0 = one per core.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Compare strategies by their learning curves.

    Needs labels of all images. Each seed splits them into a pool and a test half; each strategy labels the pool batch
    by batch, a model is fitted, and scored on the test half. Random is always there to compare with.

    \b
    Examples:
      activesel bench photos/ --labels labels.csv --group-column part
      activesel bench vectors.npz --strategies default,ska:CoreSet --seeds 20
    """
    from activesel.benchmark.story import BenchRequest, parse_strategies, plan_bench
    from activesel.benchmark.trial import Protocol
    from activesel.pipelines.oneshot import open_output

    protocol = Protocol(batch, rounds, start.value, components, head.value)
    request = BenchRequest(images, parse_strategies(strategies), protocol, seeds, labels, group_column, good,
                           workers or count_cores())  # fmt: skip
    workspace = open_output(out, settings or ())
    if dry_run:
        plan = plan_bench(workspace, request)
        show_json(plan) if as_json else show_pairs(
            [(key, ", ".join(value) if isinstance(value, list) else value) for key, value in plan.items()]
        )
        tell("dry run: nothing was written")
        return
    result = _run(workspace, request, settings, out)
    _show_json(result, out) if as_json else _show_result(result, out)


def count_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(workspace: Workspace, request: BenchRequest, settings: list[str] | None, out: Path) -> BenchResult:
    from activesel.benchmark.files import write_files
    from activesel.benchmark.story import check_request, run_bench
    from activesel.workspace import create_workspace

    check_request(request)  # a misspelt name leaves no folder behind
    workspace = create_workspace(out, settings or ())
    with workspace.lock("bench"):
        result = run_bench(workspace, request)
        write_files(result, out)
    return result


def _show_json(result: BenchResult, out: Path) -> None:
    from activesel.benchmark.files import as_json

    whole = as_json(result)
    whole.pop("trials")  # bench.json has them
    show_json({**whole, "kept_trials": result.n_kept, "out": out, "report": out / "bench.html"})


def _show_result(result: BenchResult, out: Path) -> None:
    counts = {name: int((result.dataset.classes == i).sum()) for i, name in enumerate(result.dataset.class_names)}
    earlier = f", {result.n_kept} of them from an earlier run" if result.n_kept else ""
    show_pairs([
        ("images", f"{len(result.dataset.vectors)}: {show_counts(counts)}"),
        ("trials", f"{len(result.trials)}{earlier}"),
        *(("note", note) for note in result.notes),
    ])  # fmt: skip
    print()
    head = ("strategy", "area of macro-F1", "wins against random", "labels to random's final", "defects found")
    show_table(head, [_row(one) for one in result.standings])
    print()
    show_pairs([("curves", out / "curves.csv"), ("report", out / "bench.html")])


def _row(one: Standing) -> tuple[str, str, str, str, str]:
    compared = one.against.get("random")
    wins = f"{compared.wins} of {compared.n}" if compared else ""
    reached = "not reached" if one.labels_to_reach is None else f"{one.labels_to_reach:.0f}"
    return one.strategy, _say(one.areas["macro_f1"], 3), wins, reached, _say(one.defects, 1)


def _say(value: Estimate, digits: int) -> str:
    return f"{value.mean:.{digits}f}" + ("" if value.half is None else f" ± {value.half:.{digits}f}")
