"""What the default gains over random and each peer, on three sets and two kinds of vectors: docs/label_efficiency.md.

    pip install -c constraints.txt -e '.[bench]'
    python scripts/run_label_efficiency.py --data ../shared/data --work build/efficiency --out docs/label_efficiency.md

About half an hour on two cores; finished trials are kept in --work, so that a killed run goes on. Everybody sees the
same splits, vectors, labels and probabilities. --tune runs, on other seeds, the grid of the default's exponents.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.outcome import REFERENCE, Standing
from activesel.benchmark.page import render_chart
from activesel.benchmark.peers import PEERS, find_chooser
from activesel.benchmark.story import BenchRequest, BenchResult, run_bench
from activesel.benchmark.summary import Compared, compare, curve_area, labels_to_reach
from activesel.benchmark.trial import Curve, Protocol, make_bench, run_trial
from activesel.workspace import create_workspace

OURS = ("default", "k-center", "weighted-k-center", "badge", "margin", "sparse-coverage", "uncertainty-herding")
SETS = ("magnetic_tile", "neu_det", "elpv")
POOLINGS = {"plain": "0.985", "defect-aware": "0.98"}  # and the cosine of near-duplicates where no groups are known
TRUSTS, POWERS, TUNING_SEEDS = (1.0, 2.0, 3.0), (0.0, 0.25, 0.5), tuple(range(100, 105))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of magnetic_tile and neu_det")
    parser.add_argument("--work", type=Path, required=True, help="vectors and finished trials")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write, its pictures beside it")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tune", action="store_true", help="print the grid on other seeds, and nothing else")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.tune:
        tune({name: run_set(args, name, "defect-aware", (REFERENCE,)).dataset for name in args.sets})
        return
    results = {pooling: [run_set(args, name, pooling, (*OURS, *PEERS)) for name in args.sets] for pooling in POOLINGS}
    parts = [describe_run(args), tabulate_goals(args.sets, results)]
    for pooling, of_sets in results.items():
        parts += [f"## {pooling.capitalize()} vectors", tabulate_areas(args.sets, of_sets),
                  tabulate_default(args.sets, of_sets), tabulate_means(args.sets, of_sets)]  # fmt: skip
        for name, result in zip(args.sets, of_sets, strict=True):
            picture = args.out.with_name(f"label_efficiency_{name}_{pooling.replace('-', '_')}.svg")
            picture.write_text(render_chart(only_peers(result)), encoding="utf8")
            parts.append(f"![macro-F1 over labels, {name}, {pooling} vectors]({picture.name})")
    parts += ["## Labels to reach random's end", tabulate_labels(args.sets, results)]
    args.out.write_text("\n\n".join(parts) + "\n", encoding="utf8")
    print("\n\n".join(parts))


def run_set(args: argparse.Namespace, name: str, pooling: str, strategies: Sequence[str]) -> BenchResult:
    """Embed a set where that has not been done, and run what is missing of its trials."""
    settings = [f"embedding.pooling={pooling}", f"duplicates.similarity={POOLINGS[pooling]}"]
    workspace = create_workspace(args.work / f"{name}-{pooling}", settings)
    table = write_elpv(args.work) if name == "elpv" else args.data / name / "labels.csv"
    column, good = {"magnetic_tile": ("neardup_group", "free"), "elpv": (None, "0.00")}.get(name, (None, None))
    request = BenchRequest(str(table), tuple(strategies), Protocol(), args.seeds,
                           group_column=column, good=good, workers=args.workers)  # fmt: skip
    with workspace.lock("bench"):
        return run_bench(workspace, request)


def write_elpv(work: Path) -> Path:
    """List the photographs of the elpv-dataset package with their grade, the probability of a defect."""
    import elpv_dataset  # type: ignore[import-untyped]

    folder = Path(elpv_dataset.__file__).parent / "data"
    lines = [line.split() for line in (folder / "labels.csv").read_text(encoding="utf8").splitlines()]
    table = work / "elpv.csv"
    with table.open("w", encoding="utf8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label"))
        writer.writerows((folder / path, f"{float(grade):.2f}") for path, grade, _ in lines)
    return table


def describe_run(args: argparse.Namespace) -> str:
    return "\n".join([
        "# Label efficiency", "",
        "Made by", "",
        f"    python scripts/run_label_efficiency.py --data {args.data} --work {args.work} --out {args.out}", "",
        f"{args.seeds} paired seeds; each halves the near-duplicate groups into a pool and a test half. Cold start, 8",
        "batches of 20, 128 components, linear head tuned on the labels at hand ([benchmark.md](benchmark.md)).",
        "Area: mean height of the curve of macro-F1, ± its 95 % t-interval. `ska:` is scikit-activeml, `mundig:`",
        "lightly-mundig, with their own defaults; the rest is ours. **Bold**: the best, and all whose paired",
        "difference from it includes 0.",
    ])  # fmt: skip


def tabulate_goals(names: Sequence[str], results: dict[str, list[BenchResult]]) -> str:
    """What the default was meant to reach, and whether it does: per set, and in the mean over them."""
    lines = [
        "## What was aimed at",
        "",
        "| the default | " + " | ".join(results) + " |",
        "|---" * (len(results) + 1) + "|",
    ]
    rows: dict[str, list[str]] = {"not below the best peer by more than the interval": [],
                                  "above every peer in the mean over the sets": [],
                                  "ahead of random in nine of ten seeds, where anyone is": []}  # fmt: skip
    beside, mean, ahead = rows.values()
    for of_sets in results.values():
        defaults = [next(one for one in result.standings if one.strategy == "default") for result in of_sets]
        peers = [next(one for one in result.standings if one.strategy in PEERS) for result in of_sets]
        compared = [one.against[peer.strategy] for one, peer in zip(defaults, peers, strict=True)]
        beside.append(_verdicts(names, [one.difference >= -one.half for one in compared]))
        means = mean_areas(of_sets)
        best = max(PEERS, key=lambda name: float(means[name].mean()))
        is_above = "yes" if means["default"].mean() > means[best].mean() else "no"
        mean.append(f"{is_above}: {means['default'].mean():.3f}, {best} {means[best].mean():.3f}")
        most = [max(one.against[REFERENCE].wins for one in result.standings if one.strategy != REFERENCE)
                for result in of_sets]  # fmt: skip
        enough = [one.against[REFERENCE].wins * 10 >= 9 * one.against[REFERENCE].n for one in defaults]
        nobody = [count * 10 < 9 * one.against[REFERENCE].n for count, one in zip(most, defaults, strict=True)]
        ahead.append(_verdicts(names, enough, nobody))
    lines += [f"| {title} | " + " | ".join(cells) + " |" for title, cells in rows.items()]
    return "\n".join([*lines, "", "What was tried to come further: [default_variants.md](default_variants.md)."])


def _verdicts(names: Sequence[str], met: Sequence[bool], nobody: Sequence[bool] | None = None) -> str:
    found = ["yes" if is_met else "no" for is_met in met]
    for number, is_so in enumerate(nobody or ()):
        if is_so and not met[number]:
            found[number] = "nobody is"
    return ", ".join(f"{name} {said}" for name, said in zip(names, found, strict=True))


def mean_areas(results: Sequence[BenchResult]) -> dict[str, npt.NDArray[np.float64]]:
    """Return for the default, random and every peer its area in the mean over the sets, one a seed."""
    return {name: np.mean([[curve_area(curve) for curve in curves_of(result, name)] for result in results], axis=0)
            for name in ("default", REFERENCE, *PEERS)}  # fmt: skip


def tabulate_areas(names: Sequence[str], results: Sequence[BenchResult]) -> str:
    """One row a strategy, by the mean over the sets."""
    by_name = [{one.strategy: one for one in result.standings} for result in results]
    mean = {s: statistics.mean(found[s].areas["macro_f1"].mean for found in by_name) for s in by_name[0]}
    lines = ["| strategy | " + " | ".join(names) + " | mean |", "|---" * (len(names) + 2) + "|"]
    for strategy in sorted(mean, key=lambda s: -mean[s]):
        cells = [_cell(found[strategy], result.standings[0]) for found, result in zip(by_name, results, strict=True)]
        shown = f"**{strategy}**" if strategy == "default" else strategy
        lines.append(f"| {shown} | " + " | ".join(cells) + f" | {mean[strategy]:.3f} |")
    return "\n".join(lines)


def _cell(one: Standing, best: Standing) -> str:
    area = one.areas["macro_f1"]
    text = f"{area.mean:.3f} ± {area.half or 0:.3f}"
    is_level = one is best or abs(one.against[best.strategy].difference) <= one.against[best.strategy].half
    return f"**{text}**" if is_level else text


def tabulate_default(names: Sequence[str], results: Sequence[BenchResult]) -> str:
    """The default against random and against the best peer of each set, paired by seed."""
    lines = ["| the default against | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    rows: dict[str, list[str]] = {
        "random": [],
        "the best peer there": [],
        "most seeds won against random by anyone": [],
    }
    for result in results:
        default = next(one for one in result.standings if one.strategy == "default")
        peer = next(one for one in result.standings if one.strategy in PEERS)
        most = max((one for one in result.standings if one.strategy != REFERENCE),
                   key=lambda one: one.against[REFERENCE].wins)  # fmt: skip
        rows["random"].append(_versus(default, REFERENCE))
        rows["the best peer there"].append(f"{peer.strategy}: {_versus(default, peer.strategy)}")
        rows["most seeds won against random by anyone"].append(f"{most.strategy}, {most.against[REFERENCE].wins}")
    return "\n".join([*lines, *(f"| {title} | " + " | ".join(cells) + " |" for title, cells in rows.items())])


def tabulate_means(names: Sequence[str], results: Sequence[BenchResult]) -> str:
    """The default against random and every peer in the mean over the sets, paired by seed, the strongest first."""
    means = mean_areas(results)
    lines = [f"Mean over {', '.join(names)}, the default's difference from each, seeds won:", ""]
    for name in sorted(means, key=lambda name: -means[name].mean()):
        if name != "default":
            lines.append(f"* {name}: {_tell(compare(means['default'].tolist(), means[name].tolist()))}")
    return "\n".join(lines)


def _versus(one: Standing, other: str) -> str:
    return _tell(one.against[other])


def _tell(compared: Compared) -> str:
    return f"{compared.difference:+.3f} ± {compared.half:.3f}, {compared.wins} of {compared.n}"


def tabulate_labels(names: Sequence[str], results: dict[str, list[BenchResult]]) -> str:
    """Labels at which mean curves reach what random has at its end: on the same vectors, and ours on random's plain."""
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for pooling, of_sets in results.items():
        best, ours = [], []
        for result in of_sets:
            found = {one.strategy: one.labels_to_reach for one in result.standings}
            reached = {name: at for name, at in found.items() if name in PEERS and at is not None}
            first = min(reached, key=lambda name: reached[name], default=None)
            best.append("none" if first is None else f"{reached[first]:.0f} ({first})")
            ours.append(_labels(found["default"]))
        lines += [f"| default, {pooling} vectors | " + " | ".join(ours) + " |",
                  "| quickest peer, the same vectors | " + " | ".join(best) + " |"]  # fmt: skip
    both = []
    for plain, aware in zip(results["plain"], results["defect-aware"], strict=True):
        target = next(one for one in plain.standings if one.strategy == REFERENCE).finals["macro_f1"].mean
        both.append(_labels(labels_to_reach(curves_of(aware, "default"), target)))
    total = results["plain"][0].standings[0].labels[-1]
    return "\n".join([*lines, "| default on defect-aware vectors, random on plain ones | " + " | ".join(both) + " |",
                      "", f"Random has {total} labels at its end."])  # fmt: skip


def _labels(found: float | None) -> str:
    return "not reached" if found is None else f"{found:.0f}"


def curves_of(result: BenchResult, strategy: str) -> list[Curve]:
    return [Curve(np.array(trial.labels), {name: np.array(values) for name, values in trial.scores.items()},
                  np.array(trial.rows)) for trial in result.trials if trial.strategy == strategy]  # fmt: skip


def only_peers(result: BenchResult) -> BenchResult:
    """Leave our other strategies out of the picture."""
    return replace(result, standings=tuple(one for one in result.standings
                                           if one.strategy in ("default", REFERENCE, *PEERS)))  # fmt: skip


def tune(datasets: dict[str, Dataset]) -> None:
    """Print the grid's mean areas, and for each set what the other sets would have chosen for it."""
    protocol = Protocol(head="fixed")
    grid = [f"default/trust={trust}/density_power={power}" for trust in TRUSTS for power in POWERS]
    areas = {}
    for name, dataset in datasets.items():
        benches = [make_bench(dataset, split_by_group(dataset, seed), protocol, seed) for seed in TUNING_SEEDS]
        for options in grid:
            curves = [run_trial(bench, find_chooser(options), protocol) for bench in benches]
            areas[options, name] = statistics.mean(map(curve_area, curves))
    print("| default with | " + " | ".join(datasets) + " | mean |\n" + "|---" * (len(datasets) + 2) + "|")
    for options in grid:
        cells = [areas[options, name] for name in datasets]
        print(f"| {options} | " + " | ".join(f"{cell:.3f}" for cell in cells) + f" | {statistics.mean(cells):.3f} |")
    for name in datasets:
        others = [other for other in datasets if other != name]
        chosen = max(grid, key=lambda options: statistics.mean(areas[options, other] for other in others))
        best = max(areas[options, name] for options in grid)
        print(f"left out {name}: the others choose {chosen}, {areas[chosen, name]:.3f} here, {best:.3f} at best")


if __name__ == "__main__":
    main()
