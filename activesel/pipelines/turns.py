"""Whose turn it is: which image of a batch a person is shown next, while others work on the same batch. No files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from activesel.annotations import Annotation, Role, Shape, Task
from activesel.records import ImageRow
from activesel.settling import BLIND, FINAL, REVIEW, is_verdict, phase_of

LEASE_S = 600.0  # an image that somebody has had before them for longer may be given to somebody else


@dataclass(frozen=True)
class Answer:
    """What somebody said. submission: made by the page, one for each time that somebody presses a key to answer.

    lead_time_s: as the page measured it. revises: it corrects the same person's answer about this image.
    phase: BLIND for an expert who has not seen the answers, else FINAL.
    """

    image_id: str
    submission: str
    name: str | None = None
    shapes: tuple[Shape, ...] = ()
    skipped: str = ""
    lead_time_s: float = 0.0
    revises: bool = False
    phase: str = FINAL


@dataclass(frozen=True)
class StripItem:
    """A thumbnail below the image. state: done, current or next. said: the class, or "skipped"."""

    image_id: str
    state: str
    said: str = ""


@dataclass(frozen=True)
class Turn:
    """What one person has before them.

    phase: BLIND or FINAL. prelabel: as an annotation's; suggestion is the model's answer where it is shown.
    earlier: what they said before, to be corrected. others: what the others said, once an expert may see it.
    """

    image: ImageRow
    phase: str
    n_done: int
    n_total: int
    prelabel: str = ""
    suggestion: Annotation | None = None
    earlier: Annotation | None = None
    others: tuple[Annotation, ...] = ()
    strip: tuple[StripItem, ...] = ()


@dataclass(frozen=True)
class Lease:
    """Who has an image before them. since: seconds of a monotonic clock."""

    person: str
    image_id: str
    since: float


class Leases:
    """Who has which image before them at present, in memory: one image a person, and after LEASE_S none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._of: dict[str, Lease] = {}

    def take(self, person: str, image_id: str) -> None:
        """Give the person the image instead of the one they had; the same again keeps its start."""
        held = self._of.get(person)
        if held is None or held.image_id != image_id:
            self._of[person] = Lease(person, image_id, self._clock())

    def drop(self, person: str) -> None:
        self._of.pop(person, None)

    def holders(self, image_id: str) -> set[str]:
        now = self._clock()
        return {one.person for one in self._of.values() if one.image_id == image_id and now - one.since < LEASE_S}

    def elapsed_s(self, person: str, image_id: str) -> float:
        """Return the seconds since the person got the image; since the start where that is not known, after a crash."""
        held = self._of.get(person)
        return self._clock() - (held.since if held is not None and held.image_id == image_id else self._started)


def complete_tasks(batch_id: str, image_ids: Sequence[str], tasks: Iterable[Task]) -> list[Task]:
    """Return what is wanted of people in the batch: the tasks assigned, or one opinion of every image.

    An overlap wants two opinions at least, whatever it says.
    """
    assigned = list(tasks) or [Task(batch_id, image_id) for image_id in image_ids]
    return [replace(task, n_wanted=max(2, task.n_wanted)) if task.overlap else task for task in assigned]


def is_open(task: Task, person: str, opinions: Sequence[Annotation], holders: set[str]) -> bool:
    """Tell whether the person may be shown the task: they have not answered it, and it wants more than it has.

    holders: who has it before them now, each counted as an opinion that is on its way.
    """
    answered = {one.annotator for one in opinions if one.role is Role.annotator}
    if person in answered or task.route != "crowd":
        return False
    return task.gold or len(answered | (holders - {person})) < task.n_wanted


def needs_expert(task: Task, opinions: Sequence[Annotation]) -> bool:
    """Tell whether an expert should look: people disagree or skipped, or the task was meant for experts alone."""
    said = [one for one in opinions if one.role is Role.annotator]
    differ = len({one.name for one in said if not one.skipped}) > 1
    return differ or any(one.skipped for one in said) or (task.route == "expert" and not said)


def own_blind(person: str, opinions: Sequence[Annotation]) -> Annotation | None:
    """Return what the expert said before seeing the answers."""
    found = [one for one in opinions if one.role is Role.expert and one.annotator == person and phase_of(one) == BLIND]
    return found[-1] if found else None


def is_ours(opinions: Sequence[Annotation]) -> bool:
    """Tell whether what counts follows from these: an expert decided, or people spoke and the answer is not known."""
    if any(map(is_verdict, opinions)):
        return True
    return any(one.role is Role.annotator for one in opinions) and not any(one.role is Role.gold for one in opinions)


def newest_suggestion(opinions: Sequence[Annotation]) -> Annotation | None:
    """Return the model's newest answer."""
    return next((one for one in reversed(opinions) if one.role is Role.model), None)


def answered_by(person: str, role: Role, opinions: Mapping[str, Sequence[Annotation]]) -> list[Annotation]:
    """Return the person's own answers of this page, one an image, the oldest first."""
    said = (one for of_image in opinions.values() for one in of_image if one.annotator == person and one.role is role)
    own = {one.image_id: one for one in said if one.source == REVIEW and phase_of(one) == FINAL}
    return sorted(own.values(), key=lambda one: one.created)
