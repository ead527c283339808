"""Simulate challengers whose worth is known, and see what `activesel gate` makes of them; write docs/gate.md.

    OMP_NUM_THREADS=1 python scripts/run_gate.py --out build/gate.jsonl --write

Scores are two correlated normals per image, good parts and defects apart, so that the true recall at the false-reject
rate is what was asked for; nothing else is simulated, the gate is the one that runs. A setting that is in --out already
is not run again, so that a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.config import load_config
from activesel.gate import Outcome, Rules, judge, spend
from activesel.power import normal_quantile
from activesel.proof import wilson
from activesel.rivals import Exam, compare, false_reject_rate

ROOT = Path(__file__).resolve().parent.parent
TARGET, TEMPLATE = ROOT / "docs" / "gate.md", ROOT / "scripts" / "gate_page.md"
CHAMPION = 0.85  # true recall
ALIKE = 0.8  # correlation of two models' scores of one image
CHANGES = (-0.03, 0.0, 0.05)
REALISTIC = (300, 3000)
SIZES = ((100, 1000), REALISTIC, (300, 6000), (500, 1500))  # defects and good parts that test
POWER_SIZES = ((50, 500), (100, 1000), (150, 1500), (200, 2000), REALISTIC, (500, 5000))
N_LOOKS = 5


@dataclass(frozen=True)
class Cell:
    """A setting: defects and good parts that test (as many good ones calibrate), truth, looks at one test set."""

    defects: int
    good: int
    change: float
    looks: int = 1


@dataclass(frozen=True)
class Result:
    """promote, hold, reject: runs by their first look; ever: runs in which any look promoted; gain: runs whose first
    look promotes where ``must_gain`` is set."""

    cell: Cell
    runs: int
    promote: int
    hold: int
    reject: int
    ever: int
    gain: int


def cells() -> Iterator[Cell]:
    """Yield the settings, those that matter most first."""
    for change in CHANGES:
        yield Cell(*REALISTIC, change)
    yield Cell(*REALISTIC, CHANGES[0], looks=N_LOOKS)
    yield from (Cell(*size, 0.05) for size in POWER_SIZES)
    yield from (Cell(*size, change) for size in SIZES for change in CHANGES)
    yield Cell(*REALISTIC, 0.0, looks=N_LOOKS)


def rules(must_gain: bool) -> Rules:
    gate = load_config().gate
    return Rules(gate.false_rejects, gate.most_false_rejects, gate.margin, gate.class_margin, gate.error, must_gain,
                 (), gate.least_defects, gate.least_class, gate.least_recall)  # fmt: skip


def run_cell(cell: Cell, runs: int, n_resamples: int) -> Result:
    counts = dict.fromkeys(Outcome, 0)
    ever = gain = 0
    for run in range(runs):
        rng = np.random.default_rng([run, cell.defects, cell.good, round(1000 * (cell.change + 1)), cell.looks])
        outcomes, gains = look_at(cell, rng, n_resamples)
        gain += gains
        counts[outcomes[0]] += 1
        ever += Outcome.promote in outcomes
    return Result(cell, runs, counts[Outcome.promote], counts[Outcome.hold], counts[Outcome.reject], ever,
                  gain)  # fmt: skip


def look_at(cell: Cell, rng: np.random.Generator, n_resamples: int) -> tuple[list[Outcome], bool]:
    """Return the verdicts on as many challengers as there are looks, all on one test set and calibration split, and
    whether the first is promoted where it must be better."""
    told, strict = rules(False), rules(True)
    truth = np.r_[np.zeros(2 * cell.good, np.int64), np.ones(cell.defects, np.int64)]
    is_test = np.arange(len(truth)) >= cell.good
    exam = Exam(("good", "crack"), truth, np.arange(len(truth)), is_test, 0)
    shared, found, gains = rng.normal(size=len(truth)), [], False
    champion = draw_scores(shared, truth, CHAMPION, told.false_rejects, rng)
    for look in range(1, cell.looks + 1):
        challenger = draw_scores(shared, truth, CHAMPION + cell.change, told.false_rejects, rng)
        error = spend(told.error, look)
        pair = compare(exam, champion, challenger, told.false_rejects, rng, error=error, n_resamples=n_resamples)
        rejects = false_reject_rate(exam, challenger, told.false_rejects, error=error)
        found.append(judge(pair, rejects, told, look).outcome)
        gains = judge(pair, rejects, strict, look).outcome is Outcome.promote if look == 1 else gains
    return found, gains


def draw_scores(
    shared: npt.NDArray[np.float64], truth: npt.NDArray[np.int64], recall: float, false_rejects: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return (n,) scores of a model of this true recall at this false-reject rate; two models correlate by ALIKE."""
    noise = np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * rng.normal(size=len(shared))
    shift = normal_quantile(recall) + normal_quantile(1 - false_rejects)
    return np.asarray(noise + shift * truth, np.float64)


def read_results(path: Path) -> dict[Cell, Result]:
    found = {}
    for line in path.read_text(encoding="utf8").splitlines() if path.exists() else ():
        fields = json.loads(line)
        cell = Cell(**fields.pop("cell"))
        found[cell] = Result(cell, **fields)
    return found


def say(count: int, runs: int) -> str:
    one = wilson(count, runs, 0.95)
    return f"{100 * one.value:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def outcome_table(found: dict[Cell, Result]) -> str:
    rows = []
    for defects, good in SIZES:
        for change in CHANGES:
            one = found.get(Cell(defects, good, change))
            if one is not None:
                rows.append((defects, good, f"{100 * change:+.0f}", *(say(n, one.runs) for n in
                             (one.promote, one.hold, one.reject))))  # fmt: skip
    head = ("defects", "good parts", "true change of recall, points", "promote, %", "hold, %", "reject, %")
    return table(head, rows)


def look_table(found: dict[Cell, Result]) -> str:
    rows = []
    for change in CHANGES:
        one = found.get(Cell(*REALISTIC, change, looks=N_LOOKS))
        if one is not None:
            rows.append((f"{100 * change:+.0f}", say(one.promote, one.runs), say(one.ever, one.runs)))
    return table(("true change, points", "promoted at the first look, %", f"promoted at any of {N_LOOKS}, %"), rows)


def power_table(found: dict[Cell, Result]) -> str:
    rows = []
    for size in POWER_SIZES:
        one = found.get(Cell(*size, 0.05))
        if one is not None:
            rows.append((*size, say(one.promote, one.runs), say(one.gain, one.runs)))
    head = ("defects", "good parts", "promoted, % (`must_gain: false`)", "promoted, % (`must_gain: true`)")
    return table(head, rows)


def write_page(found: dict[Cell, Result], command: str, resamples: int) -> None:
    text = TEMPLATE.read_text(encoding="utf8")
    gate = load_config().gate
    values = {
        "command": command, "runs": max(one.runs for one in found.values()), "resamples": resamples,
        "outcomes": outcome_table(found), "looks": look_table(found), "power": power_table(found),
        "champion": f"{CHAMPION:.2f}", "alike": f"{ALIKE:.1f}", "rate": f"{gate.false_rejects:g}",
    }  # fmt: skip
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    TARGET.write_text(text, encoding="utf8")
    print(TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500, help="challengers a setting")
    parser.add_argument("--resamples", type=int, default=200, help="behind each bound; 200 know its width to 5 %%")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gate.jsonl", help="a line a setting")
    parser.add_argument(
        "--share", default="0/1", help="every n-th setting from the k-th, as k/n: for several processes"
    )
    parser.add_argument("--write", action="store_true", help="write docs/gate.md from --out")
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    found = read_results(asked.out)
    share, n_shares = map(int, asked.share.split("/"))
    for number, cell in enumerate(dict.fromkeys(cells())):
        if cell in found or number % n_shares != share:
            continue
        began = time.monotonic()
        found[cell] = run_cell(cell, asked.runs, asked.resamples)
        with asked.out.open("a", encoding="utf8") as stream:
            stream.write(json.dumps(asdict(found[cell])) + "\n")
        print(found[cell], f"{time.monotonic() - began:.0f} s", flush=True)
    if asked.write:
        write_page(found, "python " + shlex.join(["scripts/run_gate.py", *sys.argv[1:]]), asked.resamples)


if __name__ == "__main__":
    main()
