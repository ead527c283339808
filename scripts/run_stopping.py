"""How well the gain of the next batch is told, on three sets where the truth is known: docs/stopping_measured.md.

    python scripts/run_stopping.py --data ../shared/data --work build/stopping --out docs/stopping_measured.md

A quarter of an hour on two idle cores; trials and signals are kept in --work, so that a killed run goes on. The
photographs of solar cells are those of the elpv-dataset package (extra `demo`). The widths of intervals (ERRORS of
activesel/training/worth.py) are fitted for each set on the two others; the page ends with the fit on all three.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from run_label_efficiency import write_elpv

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.kept import Trial
from activesel.benchmark.story import BenchRequest, run_bench
from activesel.benchmark.trial import Protocol
from activesel.projection import apply_directions, fit_directions
from activesel.records import FloatArray
from activesel.training.growth import fit_growth
from activesel.training.signals import Signals, measure_signals
from activesel.training.worth import Errors, gain_half, judge
from activesel.workspace import create_workspace, write_json

SETS = ("magnetic_tile", "neu_det", "elpv")
STRATEGIES = ("default", "random")
PROTOCOL = Protocol(rounds=12)
ROUNDS = (3, 5, 8)  # after which the question is asked
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the labels at hand, for the curve on held-out ones
HORIZONS = (1, 4)  # batches ahead
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Case:
    """One answer and the truth. curve: macro-F1 on the test half after each batch, of which ``n_done`` are known."""

    name: str
    strategy: str
    seed: int
    n_done: int
    curve: tuple[float, ...]
    signals: Signals

    @property
    def now(self) -> float:
        return self.curve[self.n_done - 1]

    def gain(self, batches: int) -> float:
        return self.curve[self.n_done + batches - 1] - self.now


def collect(args: argparse.Namespace, name: str) -> list[Case]:
    """Run the trials of a set and measure its signals, as far as an earlier run has not."""
    workspace = create_workspace(args.work / f"{name}-defect-aware", ["embedding.pooling=defect-aware"])
    table = write_elpv(args.work) if name == "elpv" else args.data / name / "labels.csv"
    column = "neardup_group" if name == "magnetic_tile" else None
    request = BenchRequest(str(table), STRATEGIES, PROTOCOL, args.seeds, group_column=column, workers=args.workers)
    with workspace.lock("bench"):
        result = run_bench(workspace, request)
    path = args.work / f"signals-{name}.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.exists() else {}
    cases = []
    for trial in result.trials:
        missing = [n_done for n_done in ROUNDS if _key(trial, n_done) not in kept]
        if missing:
            kept |= {_key(trial, n_done): found for n_done, found in measure(result.dataset, trial, missing).items()}
            write_json(path, kept)
        for n_done in ROUNDS:
            signals = _read_signals(kept[_key(trial, n_done)])
            cases.append(Case(name, trial.strategy, trial.seed, n_done, tuple(trial.scores["macro_f1"]), signals))
    return cases


def measure(dataset: Dataset, trial: Trial, rounds: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the signals after each of these rounds, on the vectors that the trial saw."""
    split = split_by_group(dataset, trial.seed)
    pool = np.asarray(dataset.vectors[split.pool], np.float32)
    pool = apply_directions(pool, fit_directions(pool, PROTOCOL.components)).astype(np.float32)
    found = {}
    for n_done in rounds:
        rows = np.array(trial.rows[: n_done * PROTOCOL.batch])
        signals = measure_signals(pool[np.searchsorted(split.pool, rows)], dataset.classes[rows], pool,
                                  groups=dataset.groups[rows], seed=trial.seed, shares=SHARES)  # fmt: skip
        found[n_done] = {name: value.tolist() if isinstance(value, np.ndarray) else value
                         for name, value in asdict(signals).items()}  # fmt: skip
    return found


def _key(trial: Trial, n_done: int) -> str:
    return f"{trial.strategy}, seed {trial.seed}, {n_done} batches"


def _read_signals(kept: dict[str, Any]) -> Signals:
    return Signals(
        **kept
        | {name: np.array(kept[name]) for name in ("curve_labels", "curve", "part_labels", "believed", "disagreement")}
    )


def fit_errors(cases: Sequence[Case]) -> Errors:
    """Return the narrowest intervals that hold 80 % of the scores, and of the gains of both horizons together."""
    missed_score = [abs(case.signals.believed[-1] - case.now) for case in cases]
    expected = np.array([expect(case, batches) for batches in HORIZONS for case in cases])
    missed = np.abs(expected - [case.gain(batches) for batches in HORIZONS for case in cases])
    found = []
    for share in np.arange(0, 1.55, 0.1):
        fixed = np.quantile(np.sqrt(np.maximum(missed**2 - (share * expected) ** 2, 0)), 0.8)
        found.append((float(np.mean(np.hypot(fixed, share * expected))), float(fixed), float(share)))
    _, fixed, share = min(found)
    return Errors(round(float(np.quantile(missed_score, 0.8)), 3), round(fixed, 3), round(share, 1))


def expect(case: Case, batches: int) -> float:
    """Return the gain as `activesel select` tells it."""
    return judge(case.signals, budget=batches * PROTOCOL.batch, least_gain=LEAST_GAIN).gain


def extrapolate(case: Case, batches: int) -> float:
    """Return the gain by a power law through the curve on held-out labels, the usual way."""
    growth = fit_growth(case.signals.curve_labels, case.signals.curve)
    now = case.n_done * PROTOCOL.batch
    return float(growth.at(now + batches * PROTOCOL.batch) - growth.at(now))


def repeat_last(case: Case, batches: int) -> float:
    """Return what the last batch brought, on the test half, once for each batch."""
    return batches * (case.now - case.curve[case.n_done - 2])


def scale_disagreement(cases: Sequence[Case]) -> Callable[[Case, int], float]:
    """Return an estimate by what heads on two halves disagree about, scaled by least squares on the other sets."""

    def see(case: Case, batches: int) -> float:
        return float(case.signals.disagreement[-1] * (1 - (case.n_done / (case.n_done + batches)) ** 0.5))

    def estimate(case: Case, batches: int) -> float:
        others = [one for one in cases if one.name != case.name] or cases
        seen = np.array([see(one, batches) for one in others])
        return see(case, batches) * float(seen @ [one.gain(batches) for one in others] / (seen @ seen))

    return estimate


ESTIMATES: dict[str, Callable[[Case, int], float]] = {
    "**ours**: curve on the pool": expect,
    "curve on held-out labels": extrapolate,
    "nothing": lambda _case, _batches: 0.0,
    "as the last batch (needs a test set)": repeat_last,
}


def tabulate_gains(cases: Sequence[Case], batches: int, errors: dict[str, Errors]) -> str:
    """One row an estimate: mean error and mean absolute error of each set, and over all of them."""
    names = list(dict.fromkeys(case.name for case in cases))
    lines = ["| estimate | " + " | ".join(names) + " | all | correlation | within its 80 % interval |",
             "|---" * (len(names) + 4) + "|"]  # fmt: skip
    truth = np.array([case.gain(batches) for case in cases])
    of_set = np.array([case.name for case in cases])
    for title, estimate in (ESTIMATES | {"what two halves disagree about, scaled": scale_disagreement(cases)}).items():
        said = np.array([estimate(case, batches) for case in cases])
        cells = [_errors(said[of_set == name] - truth[of_set == name]) for name in names] + [_errors(said - truth)]
        cells.append(f"{np.corrcoef(said, truth)[0, 1]:.2f}" if said.std() > 0 else "-")
        inside = [abs(one - true) <= gain_half(one, errors[case.name])
                  for one, true, case in zip(said, truth, cases, strict=True)]  # fmt: skip
        cells.append(_coverage(inside, of_set, names) if estimate is expect else "-")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    cells = [f"{truth[of_set == name].mean():+.3f}, {truth[of_set == name].std():.3f}" for name in names]
    lines.append("| *true gain: mean, deviation* | " + " | ".join(cells)
                 + f" | {truth.mean():+.3f}, {truth.std():.3f} | | |")  # fmt: skip
    return "\n".join(lines)


def _errors(missed: FloatArray) -> str:
    return f"{missed.mean():+.3f}, {np.abs(missed).mean():.3f}"


def _coverage(inside: Sequence[bool], of_set: npt.NDArray[np.str_], names: Sequence[str]) -> str:
    held = np.array(inside)
    return f"{held.mean():.0%} (" + ", ".join(f"{held[of_set == name].mean():.0%}" for name in names) + ")"


def tabulate_scores(cases: Sequence[Case], errors: dict[str, Errors]) -> str:
    """How far each opinion on the present score is from the test half: on average, and in absolute value."""
    lines = ["| set, strategy | true | the model's own opinion | on held-out labels | opinion within its interval |",
             "|---|---|---|---|---|"]  # fmt: skip
    for key in dict.fromkeys((case.name, case.strategy) for case in cases):
        chosen = [case for case in cases if (case.name, case.strategy) == key]
        true = np.array([case.now for case in chosen])
        believed = np.array([case.signals.believed[-1] for case in chosen]) - true
        held_out = np.array([case.signals.held_out for case in chosen]) - true
        inside = np.mean(np.abs(believed) <= errors[key[0]].score)
        lines.append(f"| {', '.join(key)} | {true.mean():.3f} | {_errors(believed)} | {_errors(held_out)} "
                     f"| {inside:.0%} |")  # fmt: skip
    return "\n".join(lines)


def tabulate_stops(cases: Sequence[Case]) -> str:
    """What was left where it said stop, and what came where it said go on."""
    lines = ["| set, strategy | said stop | true next gain: mean, largest | true gain of the next 4: mean, largest "
             "| said go on | true next gain: mean | below the threshold after all |", "|---" * 7 + "|"]  # fmt: skip
    for key in dict.fromkeys((case.name, case.strategy) for case in cases):
        chosen = [case for case in cases if (case.name, case.strategy) == key]
        stops = [case for case in chosen if expect(case, 1) < LEAST_GAIN]
        others = [case for case in chosen if expect(case, 1) >= LEAST_GAIN]
        cells = [f"{len(stops)} of {len(chosen)}"]
        cells += [_left([case.gain(batches) for case in stops]) for batches in HORIZONS]
        came = [case.gain(1) for case in others]
        cells += [str(len(others)), f"{np.mean(came):+.3f}" if came else "-"]
        cells.append(f"{sum(gain < LEAST_GAIN for gain in came)} of {len(came)}" if came else "-")
        lines.append(f"| {', '.join(key)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _left(gains: Sequence[float]) -> str:
    return f"{np.mean(gains):+.3f}, {max(gains):+.3f}" if gains else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of magnetic_tile and neu_det")
    parser.add_argument("--work", type=Path, required=True, help="vectors, finished trials and signals")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    cases = [case for name in args.sets for case in collect(args, name)]
    errors = {name: fit_errors([case for case in cases if case.name != name] or cases) for name in args.sets}
    text = write_page(args, cases, errors)
    args.out.write_text(text, encoding="utf8")
    print(text)


def write_page(args: argparse.Namespace, cases: Sequence[Case], errors: dict[str, Errors]) -> str:
    asked = ", ".join(str(n_done * PROTOCOL.batch) for n_done in ROUNDS)
    parts = [
        "# Stopping, measured",
        f"Made by\n\n    python scripts/run_stopping.py --data {args.data} --work {args.work} --out {args.out}",
        f"{args.seeds} paired seeds, each halves the near-duplicate groups of a set into a pool and a test half; "
        f"defect-aware vectors, cold start, batches of {PROTOCOL.batch} chosen by `default` and by `random`, a linear "
        f"head tuned on the labels at hand ([benchmark.md](benchmark.md)). After {asked} labels the question of "
        f"[stopping.md](stopping.md) is asked: {len(cases)} answers. A true gain is that of one trial on its test "
        "half, the luck of that batch included, which no estimate can know.",
        "## The next batch of 20\n\nMean error (above 0: promised too much), mean absolute error of the gain in "
        "macro-F1. Widths of intervals, and the scale of the disagreement, are fitted on the two other sets.",
        tabulate_gains(cases, 1, errors),
        "## The next 80 labels",
        tabulate_gains(cases, 4, errors),
        "## The present score\n\nMean error, mean absolute error.",
        tabulate_scores(cases, errors),
        f'## Stop or go on\n\n"Stop" = the next 20 labels are expected to bring less than {LEAST_GAIN:g}.',
        tabulate_stops(cases),
        f"The widths fitted on all sets, which `activesel select` uses: `{fit_errors(cases)}`.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
