"""The story of `activesel simulate`: the same rounds as in a plant, with simulated people, beside twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from activesel.errors import InconclusiveError, RefusedError, UsageError, WaitingError
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.train import TrainRequest, train
from activesel.progress import Advance, show_progress
from activesel.rounds.record import Round, find_round, read_rounds
from activesel.rounds.run import RoundRequest, run_round
from activesel.simulation.arms import EVERYTHING, POOL, Arm, Split, list_arms, open_arm, write_manifests
from activesel.simulation.inputs import Oracle, read_oracle, split_oracle
from activesel.simulation.labelling import answer
from activesel.simulation.people import Crowd, Profile
from activesel.simulation.scores import Exam, Point, keep_point, measure, read_point
from activesel.workspace import Workspace, write_json

ACCEPTED = "simulated people are as good as they are"
# A round of a simulation goes on where a plant would wait for more labels: its people never get better.
POLICY = ("rounds.inconclusive=go on",)


@dataclass(frozen=True)
class SimulateRequest:
    """oracle: labels of all images. images: as `activesel ingest` takes it, None = the oracle's paths. good: the class
    without a defect, None = the most frequent. first: random labels before the first round. synthesis: with variants
    of rare defects, and a twin without. seeds: splits and people, paired between arms."""

    oracle: Path
    profile: Profile
    images: str | None = None
    rounds: int = 6
    budget: int = 40
    first: int = 20
    seeds: int = 1
    good: str | None = None
    synthesis: bool = False


@dataclass(frozen=True)
class Simulated:
    """points: arm -> seed -> rounds. everything: seed -> measures of a model with all labels of the pool. n_pool:
    images of the pool, of each seed."""

    oracle: Oracle
    points: Mapping[str, tuple[tuple[Point, ...], ...]]
    everything: tuple[Mapping[str, float], ...]
    n_pool: tuple[int, ...]


def simulate(home: Path, base: Workspace, overrides: Sequence[str], request: SimulateRequest) -> Simulated:
    """Run every arm's rounds, each as it would run in a plant; killed anywhere and rerun, it goes on there.

    home: the folder of it all. base: the workspace in it that all images are in. overrides: settings of every arm.

    Raises:
        UsageError: numbers that mean nothing. DataError: images or labels that cannot be used.
    """
    check_request(request)
    with base.lock("simulate"):
        oracle = read_oracle(base, request.oracle, request.images, request.good)
    arms = list_arms(synthesis=request.synthesis)
    points: dict[str, list[tuple[Point, ...]]] = {arm.name: [] for arm in arms}
    everything, sizes = [], []
    with show_progress("simulate", request.seeds * len(arms) * request.rounds) as advance:
        for seed in range(request.seeds):
            split = split_oracle(oracle, request.first, seed)
            folder = home / f"seed-{seed}"
            write_manifests(base, folder, split, oracle.truth)
            crowd = Crowd(request.profile, oracle.names, oracle.truth, seed)
            exam = Exam(split.test, crowd, oracle.good)
            settings = (*POLICY, *overrides, f"seed={seed}")
            for arm in arms:
                found = _run_arm(open_arm(base, folder, arm, settings), folder, arm, exam, request, advance)
                points[arm.name].append(found)
            everything.append(_learn_everything(base, folder, exam, settings))
            sizes.append(len(split.pool))
    return Simulated(oracle, {name: tuple(some) for name, some in points.items()}, tuple(everything), tuple(sizes))


def check_request(request: SimulateRequest) -> None:
    for name, value, low in (("rounds", request.rounds, 1), ("budget", request.budget, 1), ("first", request.first, 0),
                             ("seeds", request.seeds, 1)):  # fmt: skip
        if value < low:
            raise UsageError(f"--{name} is {low} at least", found=str(value))


def _run_arm(
    workspace: Workspace, folder: Path, arm: Arm, exam: Exam, request: SimulateRequest, advance: Advance
) -> tuple[Point, ...]:
    asked = RoundRequest(budget=request.budget, source=str(folder / POOL))
    found = []
    for number in range(1, request.rounds + 1):
        path = folder / "points" / arm.folder / f"{number:02d}.json"
        point = read_point(path)
        if point is None:
            point = measure(workspace, _finish_round(workspace, number, asked, exam.crowd), exam)
            keep_point(path, point)
        found.append(point)
        advance(1)
    return tuple(found)


def _finish_round(workspace: Workspace, number: int, asked: RoundRequest, crowd: Crowd) -> Round:
    """Run a round to its end, doing what it waits for."""
    known = read_rounds(workspace)
    if len(known) == number and known[-1].is_finished:
        return known[-1]  # killed between the round and its point
    while True:
        try:
            return run_round(workspace, asked)
        except WaitingError:
            answer(workspace, find_round(workspace, None), crowd)
        except (RefusedError, InconclusiveError):
            if asked.accept_quality:
                raise
            asked = RoundRequest(asked.budget, asked.source, ACCEPTED)


def _learn_everything(base: Workspace, folder: Path, exam: Exam, settings: Sequence[str]) -> Mapping[str, float]:
    """Return the measures of a model that learns from every true label of the pool."""
    workspace = open_arm(base, folder, Arm(EVERYTHING), (*settings, "dataset.test=0"))
    with workspace.lock("simulate"):
        built = build_dataset(workspace, BuildRequest())
        trained = train(workspace, TrainRequest(dataset=built.version, pool=True))
    found = exam.mark(workspace, trained.model_id)
    write_json(folder / "points" / "everything.json", found)
    return found


__all__ = ["SimulateRequest", "Simulated", "Split", "simulate"]
