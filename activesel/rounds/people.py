"""The steps that people take: label, agree, decide. What is missing is said, and the round waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from activesel.annotations import Annotation, LabelState, Resolution, Task
from activesel.catalog import Catalog
from activesel.errors import InconclusiveError, RefusedError, WaitingError
from activesel.pipelines.adjudicate import queue
from activesel.pipelines.qc import Quality, check_quality, record_consensus
from activesel.pipelines.qc_files import as_json, write_quality
from activesel.rounds.engine import Outcome, Room
from activesel.settling import PEOPLE, newest_by_person
from activesel.workspace import Workspace

_DECIDED = (LabelState.adjudicated, LabelState.rejected)


@dataclass(frozen=True)
class Progress:
    """How far a batch is. n_given: of the opinions wanted, each counted up to what its image wants."""

    n_wanted: int
    n_given: int
    n_open_images: int

    @property
    def share(self) -> float:
        return self.n_given / self.n_wanted if self.n_wanted else 1.0


def count_given(
    tasks: Sequence[Task], opinions: Sequence[Annotation], resolved: Mapping[str, Resolution], labelled: set[str]
) -> Progress:
    """Count what people have said of what was wanted of them.

    What an expert decided wants nothing more; a label that came from a file, without opinions, counts as one.
    """
    said: dict[str, list[Annotation]] = {}
    for one in opinions:
        if one.role in PEOPLE:
            said.setdefault(one.image_id, []).append(one)
    given, n_open = 0, 0
    for task in tasks:
        present = resolved.get(task.image_id)
        n_said = len(newest_by_person(said.get(task.image_id, ()))) or (task.image_id in labelled and not task.gold)
        if present is not None and present.state in _DECIDED:
            n_said = task.n_wanted
        given += min(n_said, task.n_wanted)
        n_open += n_said < task.n_wanted
    return Progress(sum(task.n_wanted for task in tasks), given, n_open)


def measure_progress(workspace: Workspace, batch_id: str) -> Progress:
    """Count what people have said of a batch."""
    with Catalog.open(workspace.catalog_place) as catalog:
        tasks = catalog.annotations.tasks(batch_id)
        ids = {task.image_id for task in tasks}
        opinions, resolved = catalog.annotations.read(ids), catalog.annotations.resolutions(ids)
        labelled = ids & set(catalog.labels())
    return count_given(tasks, opinions, resolved, labelled)


def wait_for_labels(room: Room) -> Outcome:
    """Go on once as many opinions are there as rounds.least_labelled asks for."""
    batch_id = str(room.round.result("select")["batch"])
    progress = measure_progress(room.workspace, batch_id)
    if progress.share < room.workspace.config.rounds.least_labelled:
        raise WaitingError("people have not labelled this batch yet", where=f"batch {batch_id}",
                           found=f"{progress.n_given} of {progress.n_wanted} opinions, "
                                 f"{progress.n_open_images} images open",
                           hint=f"activesel review {batch_id}, or activesel import FILE; "
                                "then activesel round resume")  # fmt: skip
    found = {"n_opinions": progress.n_given, "n_wanted": progress.n_wanted}
    return Outcome(found, f"{progress.n_given} of {progress.n_wanted} opinions")


def check_labels(room: Room) -> Outcome:
    """Measure whether the labels can be trusted, and let what people agree on count."""
    workspace, batch_id = room.workspace, str(room.round.result("select")["batch"])
    quality = check_quality(workspace, batch_id)
    document = as_json(quality) | {"changed": record_consensus(workspace, quality)}
    page = write_quality(workspace, quality, document)
    verdict, reasons = quality.decision.verdict.value, "; ".join(quality.decision.reasons)
    accepted = str(room.settings.get("accept_quality", ""))
    if verdict == "fail" and not accepted:
        raise RefusedError("the labels do not pass", where=f"batch {batch_id}", found=reasons,
                           hint="mend them, or activesel round resume --accept-quality REASON")  # fmt: skip
    if verdict == "inconclusive" and not accepted and workspace.config.rounds.inconclusive == "stop":
        raise InconclusiveError("it is not known yet whether the labels pass", where=f"batch {batch_id}", found=reasons,
                                hint="or activesel round resume --accept-quality REASON")  # fmt: skip
    found = {"verdict": verdict, "reasons": reasons, "accepted": accepted, "kappa": _kappa(quality), "page": str(page)}
    return Outcome(found, f"{verdict}: {reasons}" + (f"; accepted: {accepted}" if accepted else ""))


def _kappa(quality: Quality) -> list[float] | None:
    found = quality.overall
    return None if found is None or found.kappa is None else [found.kappa, found.low, found.high]


def wait_for_experts(room: Room) -> Outcome:
    """Go on once the experts' queue of the batch is empty."""
    batch_id = str(room.round.result("select")["batch"])
    waiting = queue(room.workspace, batch_id)
    if waiting:
        raise WaitingError("images wait for an expert", where=f"batch {batch_id}", found=f"{len(waiting)} of them",
                           hint=f"activesel review {batch_id} --adjudicate --annotator NAME; "
                                "then activesel round resume")  # fmt: skip
    with Catalog.open(room.workspace.catalog_place) as catalog:
        ids = {task.image_id for task in catalog.annotations.tasks(batch_id)}
        states = [one.state.value for one in catalog.annotations.resolutions(ids).values()]
    counts = {state: states.count(state) for state in sorted(set(states))}
    return Outcome({"states": counts}, ", ".join(f"{n} {state}" for state, n in counts.items()))
