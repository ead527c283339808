"""Kill whole rounds with SIGKILL at random instants, rerun them, and compare the end with an undisturbed one.

    python -m scripts.check_kills --kills 50

Two rounds of the flywheel on photographs made in code, with simulated people, are run once in peace. Then the same is
begun anew in the same folder, emptied, and killed after a random time, again and again, until so many kills are
spent; the last run is left in peace. Compared are batches, opinions, what counts, versions of the data, models,
aliases, the log of decisions, and every step of every round, all but times, process numbers and paths.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activesel.catalog import Catalog
from activesel.pipelines.dataset_files import list_datasets
from activesel.rounds.record import read_rounds
from activesel.workspace import find_workspace
from tests.cli.samples import tiny_backbone, write_labels, write_photos
from tests.faults.processes import Process, run_process

N_PHOTOS = 48
PIECES = 10  # into which kills cut a run, about


@dataclass(frozen=True)
class Flywheel:
    """arguments: of the simulation. out: its folder, which is part of a version. state: what it ends in.

    seconds: that it takes in peace.
    """

    arguments: list[str]
    out: Path
    state: dict[str, Any]
    seconds: float


def make_flywheel(folder: Path, rounds: int) -> Flywheel:
    """Run so many rounds in peace once."""
    photos = write_photos(folder / "photos", N_PHOTOS)
    labels = write_labels(folder / "labels.csv", photos, N_PHOTOS)
    out = folder / "out"
    arguments = ["simulate", "--oracle", str(labels), "--rounds", str(rounds), "--budget", "6", "--first", "8",
                 "--set", "duplicates.similarity=1",
                 *tiny_backbone(folder), "--out", str(out)]  # fmt: skip
    started = time.monotonic()
    ended = run_process(arguments, folder)
    assert ended.code == 0, ended.err
    return Flywheel(arguments, out, read_state(out), time.monotonic() - started)


def kill_and_rerun(flywheel: Flywheel, folder: Path, rng: random.Random, *, most: int) -> int:
    """Start the rounds over and over, killed after a random time, and at last left alone; return the kills."""
    arguments, n_killed = flywheel.arguments, 0
    shutil.rmtree(flywheel.out)
    while n_killed < most:
        process = Process(arguments, folder)
        # A start alone takes a while; what is left of the run is cut into about PIECES.
        process.wait_until(_alarm(rng.uniform(0.2, 1.0) * max(1.5, 3 * flywheel.seconds / PIECES)))
        process.send(signal.SIGKILL)
        code = process.end().code
        if code == 0:
            return n_killed
        n_killed += 1
    ended = run_process(arguments, folder)
    assert ended.code == 0, ended.err
    return n_killed


def compare_states(flywheel: Flywheel) -> list[str]:
    """Return what is other than after the undisturbed run."""
    found = read_state(flywheel.out)
    return [f"{name}: {found[name]!r} instead of {value!r}" for name, value in flywheel.state.items()
            if found.get(name) != value]  # fmt: skip


def read_state(out: Path) -> dict[str, Any]:
    """Return everything that a simulation leaves, but for times, processes and paths."""
    state: dict[str, Any] = {"simulation.json": (out / "simulation.json").read_bytes(),
                             "curves.csv": (out / "curves.csv").read_bytes()}  # fmt: skip
    for root in sorted(path.parent for path in out.glob("seed-*/*/.activesel")):
        state |= {f"{root.name} {name}": value for name, value in _read_arm(root)}
    return state


def _read_arm(root: Path) -> Iterator[tuple[str, Any]]:
    workspace = find_workspace(root)
    with Catalog.open(workspace.catalog_place) as catalog:
        yield "batches", [(one.batch_id, one.image_ids) for one in catalog.batches.read()]
        yield "opinions", sorted((one.image_id, one.annotator, one.name, one.skipped, one.source)
                                 for one in catalog.annotations.read())  # fmt: skip
        yield "counts", sorted(map(repr, catalog.annotations.resolutions().values()))
        yield "tasks", sorted(map(repr, catalog.annotations.tasks()))
        yield "models", sorted(card.model_id for card in catalog.models.cards())
        yield "aliases", catalog.models.aliases()
        yield "decisions", [(one.kind, one.challenger, one.champion, one.outcome, one.reason, one.look)
                            for one in catalog.models.decisions()]  # fmt: skip
    yield "datasets", [one.version for one in list_datasets(workspace)]
    for one in read_rounds(workspace):
        for step in one.steps:
            result = {name: value for name, value in step.result.items() if name not in ("page", "minutes")}
            yield f"round {one.number} {step.name}", (step.state, json.dumps(result).replace(str(root), ""))
    hidden = [path for path in root.rglob(".*") if path.name != ".activesel"]
    yield "left over", [str(path.relative_to(root)) for path in hidden]


def _alarm(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, n_killed, n_runs, n_other = random.Random(asked.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as home:
        flywheel = make_flywheel(Path(home), asked.rounds)
        print(f"an undisturbed run: {flywheel.seconds:.1f} s, {len(flywheel.state)} things compared", flush=True)
        while n_killed < asked.kills:
            folder = Path(home) / f"again-{n_runs}"
            folder.mkdir()
            n_killed += kill_and_rerun(flywheel, folder, rng, most=min(PIECES, asked.kills - n_killed))
            others = compare_states(flywheel)
            n_runs, n_other = n_runs + 1, n_other + bool(others)
            print(f"{n_killed} kills in {n_runs} runs; {others or 'the same end'}", flush=True)
    print(f"{n_killed} kills, {n_runs} runs of {asked.rounds} rounds, {n_other} with another end")
    raise SystemExit(1 if n_other else 0)


if __name__ == "__main__":
    main()
