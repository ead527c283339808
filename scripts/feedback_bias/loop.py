"""One flywheel over a stream of labelled images: who picks, what the monitors say, what the champion still misses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

import activesel
from activesel.config import load_config
from activesel.labelerrors import rank_alike
from activesel.monitoring import Labelled, Limits, Reading, Signals, State, watch
from activesel.training.head import LinearHead, fit_head
from activesel.training.held_out import hold_out_head

STRENGTH = 1.0  # of the head, fixed: a tenth of the time of tuning it
RECHECKS = 10  # labels that an expert looks at again in a round, where an alarm asks for it


@dataclass(frozen=True)
class Set:
    """vectors: (n, d) unit rows. classes: (n,) true ones. groups: (n,) pictures of one part. good: the class."""

    vectors: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    names: tuple[str, ...]
    good: int


@dataclass(frozen=True)
class Arm:
    """own: what picks beside random images: "rejects" (what the champion rejects, surest first), "doubts" (least
    margin) or "default" (the product's strategy). explore: random images a round. monitors: alarms are followed."""

    name: str
    own: str
    explore: int = 0
    monitors: bool = False


@dataclass(frozen=True)
class Job:
    """history: "passed" - the first labels call the blind class good, as an old guideline had it; "absent" - none of it
    is among them; "known" - nothing is wrong."""

    blind: int
    history: str
    seed: int
    rounds: int = 6
    budget: int = 40
    start: int = 90
    train: float = 0.7


@dataclass
class Run:
    """recall: of the blind class, at the start and after every round; rejects: good images rejected; others: recall of
    the other defects. labels: of the blind class, by round. detected: round of the first alarm that names the class,
    None = never. alarms: monitor -> rounds in which it asked for action, its subjects."""

    recall: list[float] = field(default_factory=list)
    rejects: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    detected: int | None = None
    alarms: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass
class Memory:
    """What is labelled: rows, what they are said to be, and of picks how they came and what the champion said."""

    rows: list[int]
    said: list[int]
    checked: set[int] = field(default_factory=set)
    picks: list[tuple[int, int, float, bool, int]] = field(default_factory=list)  # row, predicted, sure, random, round
    sizes: list[float] = field(default_factory=list)


def run_flywheel(data: Set, arm: Arm, job: Job) -> Run:
    """Play one job. Every image of a part is on one side; the stream shows one picture of each part."""
    rng = np.random.default_rng([job.seed, job.blind])
    parts = rng.permutation(np.unique(data.groups))
    n_train = int(len(parts) * job.train)
    stream = [one_view(data, chunk, rng) for chunk in np.array_split(parts[:n_train], job.rounds + 1)]
    test = np.flatnonzero(np.isin(data.groups, parts[n_train:]))
    first = stream[0] if job.history != "absent" else stream[0][data.classes[stream[0]] != job.blind]
    said = data.classes[first].copy()
    if job.history == "passed":
        said[said == job.blind] = data.good
    memory, run = Memory(first[: job.start].tolist(), said[: job.start].tolist()), Run()
    limits = shipped_limits()
    open_rows: list[int] = []
    pressing: list[Reading] = []
    for number in range(job.rounds + 1):
        head = fit(data, memory, job.seed)
        measure(data, head, test, job, run)
        if number == job.rounds:
            return run
        open_rows += stream[number + 1].tolist()
        pick_round(data, arm, job, memory, head, stream[number + 1], open_rows, pressing if arm.monitors else [])
        open_rows = [row for row in open_rows if row not in set(memory.rows)]
        run.labels.append(sum(data.classes[row] == job.blind for row, *_, of in memory.picks if of == number))
        pressing = [one for one in watch(signals_of(data, job, memory), limits) if one.state is State.act]
        run.alarms += [(number + 1, one.monitor, one.subject) for one in pressing]
        if run.detected is None and any(names_class(one, data.names[job.blind]) for one in pressing):
            run.detected = number + 1
    return run


def one_view(data: Set, parts: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    rows = rng.permutation(np.flatnonzero(np.isin(data.groups, parts)))
    return rng.permutation(rows[np.unique(data.groups[rows], return_index=True)[1]])


def fit(data: Set, memory: Memory, seed: int) -> LinearHead:
    rows = np.array(memory.rows)
    return fit_head(data.vectors[rows], np.array(memory.said), len(data.names), strength=STRENGTH, seed=seed)


def measure(data: Set, head: LinearHead, test: npt.NDArray[np.int64], job: Job, run: Run) -> None:
    rejected = head.probabilities(data.vectors[test]).argmax(axis=1) != data.good
    classes = data.classes[test]
    run.recall.append(float(rejected[classes == job.blind].mean()))
    run.rejects.append(float(rejected[classes == data.good].mean()))
    run.others.append(float(rejected[(classes != data.good) & (classes != job.blind)].mean()))


def pick_round(
    data: Set, arm: Arm, job: Job, memory: Memory, head: LinearHead, new: npt.NDArray[np.int64], open_rows: list[int],
    pressing: list[Reading],
) -> None:  # fmt: skip
    """Draw the random share from what has just arrived, do what alarms ask for, spend the rest as the arm does."""
    number = len(memory.sizes)
    memory.sizes.append(float(len(new)))
    probs = head.probabilities(data.vectors)
    explored = new[: arm.explore].tolist()  # the stream is in random order
    left = np.array([row for row in open_rows if row not in set(explored)])
    kinds = [data.names.index(one.command.split("--focus ")[1].strip("'")) for one in pressing
             if "--focus " in one.command]  # fmt: skip
    budget = job.budget - arm.explore
    if kinds:
        budget -= recheck(data, memory, kinds[0], min(RECHECKS, budget // 2), job.seed)
        focused = pick_with(data, memory, probs, left, budget // 2, job.seed, strategy="focus", focus=kinds[0])
    else:
        focused = []
    left = np.setdiff1d(left, focused)
    own = pick_own(data, arm, memory, probs, left, budget - len(focused), job.seed)
    for rows, random in ((explored, True), ([*focused, *own], False)):
        for row in rows:
            memory.rows.append(int(row))
            memory.said.append(int(data.classes[row]))
            memory.picks.append((int(row), int(probs[row].argmax()), float(probs[row].max()), random, number))
            memory.checked.add(int(row))


def pick_own(
    data: Set, arm: Arm, memory: Memory, probs: npt.NDArray[np.float32], left: npt.NDArray[np.int64], budget: int,
    seed: int,
) -> list[int]:  # fmt: skip
    if arm.own == "rejects":
        rejected = left[probs[left].argmax(axis=1) != data.good]
        return [int(row) for row in rejected[np.argsort(-(1 - probs[rejected, data.good]), kind="stable")][:budget]]
    if arm.own == "doubts":
        ordered = np.sort(probs[left], axis=1)
        return [int(row) for row in left[np.argsort(ordered[:, -1] - ordered[:, -2], kind="stable")][:budget]]
    return pick_with(data, memory, probs, left, budget, seed, strategy="default")


def pick_with(
    data: Set,
    memory: Memory,
    probs: npt.NDArray[np.float32],
    left: npt.NDArray[np.int64],
    budget: int,
    seed: int,
    **options: object,
) -> list[int]:
    """Pick as `activesel select` would, with the shipped settings."""
    rows = np.concatenate((np.array(memory.rows), left))
    known, said = np.arange(len(memory.rows)), np.array(memory.said)
    if "focus" in options:
        options["exemplars"] = known[said == options["focus"]]
    config = load_config()
    picks = activesel.select(
        data.vectors[rows], budget=min(budget, len(left)), labelled=known, classes=said, seed=seed, probs=probs[rows],
        near_duplicate=config.duplicates.similarity, group_cap=config.duplicates.group_cap,
        neighbours=config.selection.neighbours, **options,
    )  # fmt: skip
    return [int(row) for row in rows[picks.rows]]


def recheck(data: Set, memory: Memory, kind: int, most: int, seed: int) -> int:
    """Let an expert look again at the old labels that look most like the class, as `label-errors --like CLASS` lists
    them; return how many looks that took."""
    rows, said = np.array(memory.rows), np.array(memory.said)
    held = hold_out_head(data.vectors[rows], said, data.groups[rows], len(data.names), seed=seed)
    alike = [at for at in rank_alike(held.probs, said, kind).tolist() if memory.rows[at] not in memory.checked]
    for at in alike[:most]:
        memory.said[at] = int(data.classes[memory.rows[at]])
        memory.checked.add(memory.rows[at])
    return len(alike[:most])


def signals_of(data: Set, job: Job, memory: Memory) -> Signals:
    """What `activesel monitor` would read of this workspace's batches."""
    rows = np.array([row for row, *_ in memory.picks], np.int64)
    table = np.array([one[1:] for one in memory.picks], np.float64).reshape(-1, 4)
    n_first = len(memory.rows) - len(rows)
    return Signals(Labelled(
        data.names, data.good, data.classes[rows], table[:, 0].astype(np.int64), table[:, 1], table[:, 2] > 0,
        table[:, 3].astype(np.int64), data.groups[rows], np.array(memory.sizes),
        frozenset(memory.said[:n_first]) - ({job.blind} if job.history != "known" else set()),
    ))  # fmt: skip


def names_class(reading: Reading, name: str) -> bool:
    """Whether an alarm points at the class: it is its subject, or what its command looks for."""
    return reading.subject == name or reading.command.endswith(f"--focus {name}")


def shipped_limits() -> Limits:
    settings = load_config().monitoring
    return Limits(**settings.model_dump(exclude={"good", "batches", "images"}))


def best_recall(data: Set, job: Job) -> float:
    """Recall of the blind class by a head on every part of the stream, labelled rightly: what there is to reach."""
    rng = np.random.default_rng([job.seed, job.blind])
    parts = rng.permutation(np.unique(data.groups))
    n_train = int(len(parts) * job.train)
    rows, test = one_view(data, parts[:n_train], rng), np.flatnonzero(np.isin(data.groups, parts[n_train:]))
    run = Run()
    measure(data, fit(data, Memory(rows.tolist(), data.classes[rows].tolist()), job.seed), test, replace(job), run)
    return run.recall[0]
