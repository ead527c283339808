"""The story of `activesel review`: a batch's images to people, their answers into the catalog, one at a time.

Several threads may ask at once. Only leases and added classes live in memory; what was answered is in the catalog
before the answer is confirmed, so that a killed server loses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from activesel.adjudication import QueueItem
from activesel.annotations import Annotation, Role
from activesel.catalog import Catalog
from activesel.errors import DataError, RefusedError, UsageError
from activesel.ids import pack_ids
from activesel.images import view_image
from activesel.pipelines import turns
from activesel.pipelines.turns import Answer, Leases, StripItem, Turn
from activesel.records import ImageRow
from activesel.settling import BLIND, DECIDED, FINAL, is_verdict, name_wholes, phase_of, settle
from activesel.settling import REVIEW as SOURCE
from activesel.workspace import Workspace

MAX_CLASSES = 200
MAX_NAME = 100
STRIP_DONE, STRIP_NEXT = 7, 8  # thumbnails left and right of the current image


class Review:
    """One batch under review, by annotators or, with ``adjudicate``, by experts.

    tasks: what is wanted, by image id, in the order in which it is asked for; images without a file are left out.
    classes: what people may answer; the first have the keys 1 to 9.
    """

    def __init__(
        self, workspace: Workspace, catalog: Catalog, batch_id: str, *, adjudicate: bool, classes: Sequence[str] = ()
    ) -> None:
        self._queue = [item.image_id for item in queue_of(workspace, batch_id)] if adjudicate else []
        self.batch_id, self.adjudicate = batch_id, adjudicate
        self._workspace, self._catalog = workspace, catalog
        self._lock = threading.RLock()
        self._decoding = threading.Semaphore(2)  # a large image takes a gigabyte while it is decoded
        self.leases = Leases()
        self._load()
        self.classes = self._find_classes(classes)

    def _load(self) -> None:
        batch = next(one for one in self._catalog.batches.read() if one.batch_id == self.batch_id)
        tasks = turns.complete_tasks(self.batch_id, batch.image_ids, self._catalog.annotations.tasks(self.batch_id))
        ids = [task.image_id for task in tasks]
        images = self._catalog.list_images()
        rows = images.take(images.find(pack_ids(ids))) if len(images) else []
        self._images = {row.image_id: row for row in rows if row.path}
        self.tasks = {task.image_id: task for task in tasks if task.image_id in self._images}
        self._opinions: dict[str, list[Annotation]] = {image_id: [] for image_id in self.tasks}
        known = self._catalog.annotations.resolutions()
        self._resolved = {image_id: known.get(image_id) for image_id in self.tasks}
        for one in self._catalog.annotations.read(ids):
            if one.image_id in self._opinions:
                self._opinions[one.image_id].append(one)
        self._settle(
            [image_id for image_id, said in self._opinions.items() if any(one.source == SOURCE for one in said)]
        )  # fmt: skip - killed before it could

    def _find_classes(self, first: Sequence[str]) -> list[str]:
        opinions = (one.name for said in self._opinions.values() for one in said if one.name)
        known = [*first, *self._catalog.label_columns().names, *sorted(set(opinions))]
        return list(dict.fromkeys(known))[:MAX_CLASSES]

    def add_class(self, name: str) -> list[str]:
        """Add a class that nobody has named so far; return all of them.

        Raises:
            UsageError: an empty or very long name, or too many classes.
        """
        name = check_class(name)
        with self._lock:
            if name not in self.classes:
                if len(self.classes) >= MAX_CLASSES:
                    raise UsageError(
                        "too many classes", found=str(len(self.classes)), expected=f"at most {MAX_CLASSES}"
                    )
                self.classes.append(name)
            return list(self.classes)

    def next_turn(self, person: str) -> Turn | None:
        """Return what the person is to look at now, None where nothing is left for them."""
        with self._lock:
            image_id = next(self._open_for(person), None)
            if image_id is None:
                self.leases.drop(person)
                return None
            return self._turn(person, image_id)

    def reopen(self, person: str, image_id: str) -> Turn:
        """Return an image that the person has answered, with their answer, to correct it.

        Raises:
            RefusedError: they have not answered it.
        """
        with self._lock:
            if self._own(person, image_id, FINAL) is None:
                raise RefusedError("you have not answered this image", found=image_id)
            return self._turn(person, image_id)

    def turn_back(self, person: str, image_id: str | None) -> Turn | None:
        """Return the person's answer before this image, or their last one; None where there is none."""
        with self._lock:
            own = [one.image_id for one in turns.answered_by(person, self._role, self._opinions)]
            before = own[: own.index(image_id)] if image_id in own else own
            return self._turn(person, before[-1]) if before else None

    def answer(self, person: str, answer: Answer) -> bool:
        """Save an answer and settle what counts; return whether it is new. The same submission again changes nothing.

        Raises:
            DataError: another batch's image. UsageError: an unknown class, or nothing said.
            RefusedError: the person has answered this image already and does not say that they correct themselves.
        """
        with self._lock:
            self._check(person, answer)
            known = self._own(person, answer.image_id, answer.phase)
            if known is not None:
                same = (known.name, known.shapes, known.skipped) == (answer.name, answer.shapes, answer.skipped)
                if known.external_id == _external_id(person, answer) or (answer.revises and same):
                    return False
                if not answer.revises or answer.phase == BLIND:  # who has seen the answers is not blind any more
                    raise RefusedError("you have answered this image already", found=answer.image_id)
            self._save(self._annotation(person, answer, known))
            return True

    def image_row(self, image_id: str) -> ImageRow:
        """Return what is known of one of the batch's images.

        Raises:
            DataError: the batch has no such image.
        """
        if image_id not in self.tasks:
            raise DataError("the batch has no such image", found=repr(image_id[:40]))
        return self._images[image_id]

    def picture(self, image_id: str, longest_px: int) -> tuple[bytes, str]:
        """Return the image decoded and encoded anew, and its media type; nothing of the file itself.

        Raises:
            DataError: no image of the batch, or its file is gone or broken by now.
        """
        path = Path(self.image_row(image_id).path)
        with self._decoding:
            limit = round(self._workspace.config.ingest.max_megapixels * 1e6)
            return view_image(path, longest_px=longest_px, max_pixels=limit)

    def progress(self, person: str) -> tuple[int, int]:
        """Return how many images the person has answered, and how many there are for them in all."""
        with self._lock:
            n_done = len(turns.answered_by(person, self._role, self._opinions))
            return n_done, n_done + sum(1 for _ in self._open_for(person))

    def strip(self, person: str, image_id: str | None = None) -> list[StripItem]:
        """Return the thumbnails around an image, or where none is left those of the last answers."""
        with self._lock:
            done = turns.answered_by(person, self._role, self._opinions)[-STRIP_DONE:]
            said = [StripItem(one.image_id, "current" if one.image_id == image_id else "done",
                              one.name or ("skipped" if one.skipped else "shapes")) for one in done]  # fmt: skip
            if image_id is None:
                return said
            if image_id not in {one.image_id for one in done}:
                said.append(StripItem(image_id, "current"))
            waiting = islice((other for other in self._open_for(person) if other != image_id), STRIP_NEXT)
            return [*said, *(StripItem(other, "next") for other in waiting)]

    @property
    def _role(self) -> Role:
        return Role.expert if self.adjudicate else Role.annotator

    def _open_for(self, person: str) -> Iterator[str]:
        """Yield the images that the person may be shown; an expert's begun ones first."""
        if not self.adjudicate:
            for image_id, task in self.tasks.items():
                if turns.is_open(task, person, self._opinions[image_id], self.leases.holders(image_id)):
                    yield image_id
            return
        urgent = [image_id for image_id in self._queue if image_id in self.tasks]
        late = [image_id for image_id, task in self.tasks.items() if turns.needs_expert(task, self._opinions[image_id])]
        waiting = [image_id for image_id in dict.fromkeys((*urgent, *late))
                   if not self._is_decided(image_id) and not self.leases.holders(image_id) - {person}]  # fmt: skip
        yield from sorted(waiting, key=lambda image_id: self._own(person, image_id, BLIND) is None)

    def _is_decided(self, image_id: str) -> bool:
        present = self._resolved[image_id]
        decided = present is not None and present.state in DECIDED
        return decided or any(map(is_verdict, self._opinions[image_id]))

    def _turn(self, person: str, image_id: str) -> Turn:
        self.leases.take(person, image_id)
        said, phase = self._opinions[image_id], self._phase(person, image_id)
        others = tuple(one for one in said if one.role in (Role.annotator, Role.model))
        suggestion, prelabel = turns.newest_suggestion(said), self.tasks[image_id].prelabel
        shown = suggestion if prelabel == "shown" and not self.adjudicate else None
        n_done, n_total = self.progress(person)
        return Turn(
            self._images[image_id], phase, n_done, n_total, self._prelabel(image_id), shown,
            self._own(person, image_id, FINAL) or self._own(person, image_id, BLIND),
            others if self.adjudicate and phase == FINAL else (), tuple(self.strip(person, image_id)),
        )  # fmt: skip

    def _phase(self, person: str, image_id: str) -> str:
        """An expert speaks blind first wherever somebody else has spoken."""
        said = self._opinions[image_id]
        spoken = any(one.role is Role.annotator for one in said)
        blind = spoken and turns.own_blind(person, said) is None and self._own(person, image_id, FINAL) is None
        return BLIND if self.adjudicate and blind else FINAL

    def _prelabel(self, image_id: str) -> str:
        there = turns.newest_suggestion(self._opinions[image_id]) is not None
        return self.tasks[image_id].prelabel if there and not self.adjudicate else ""

    def _own(self, person: str, image_id: str, phase: str) -> Annotation | None:
        """Return what the person has said here about the image in that phase."""
        found = [one for one in self._opinions[image_id] if one.annotator == person and one.role is self._role
                 and one.source == SOURCE and phase_of(one) == phase]  # fmt: skip
        return found[-1] if found else None

    def _check(self, person: str, answer: Answer) -> None:
        self.image_row(answer.image_id)
        names = {answer.name, *(shape.name for shape in answer.shapes)} - {None}
        unknown = sorted(name for name in names if name is not None and name not in self.classes)
        if unknown:
            raise UsageError("unknown class", found=repr(unknown[0]), expected="one of the classes of this page")
        if bool(answer.skipped) == bool(answer.name or answer.shapes):
            raise UsageError("an answer says something, or why it does not",
                            expected="a class, shapes, or a reason to skip")  # fmt: skip
        if answer.phase == FINAL and self._phase(person, answer.image_id) == BLIND:
            raise RefusedError("your own verdict first, then those of the others", found=answer.image_id)
        if answer.phase == BLIND and (not self.adjudicate or self._own(person, answer.image_id, FINAL)):
            raise RefusedError("you have seen the answers already", found=answer.image_id)

    def _annotation(self, person: str, answer: Answer, known: Annotation | None) -> Annotation:
        seconds = min(max(0.0, answer.lead_time_s), self.leases.elapsed_s(person, answer.image_id))
        earlier = (known.lead_time_s or 0.0) if known is not None else 0.0
        return Annotation(
            answer.image_id, person, self._role, answer.name, answer.shapes, answer.skipped,
            datetime.now(UTC).isoformat(timespec="milliseconds"), round(earlier + seconds, 3),
            guideline=self._workspace.config.review.guideline, prelabel=self._prelabel(answer.image_id), source=SOURCE,
            external_id=known.external_id if known is not None else _external_id(person, answer),
        )  # fmt: skip

    def _save(self, one: Annotation) -> None:
        """Record the opinion, then what counts; killed between the two, the next start settles."""
        store = self._catalog.annotations
        store.add([one])
        self._opinions[one.image_id] = store.read([one.image_id])
        self._settle([one.image_id])
        self.leases.drop(one.annotator)

    def _settle(self, image_ids: Sequence[str]) -> None:
        """Write what counts where it has changed; an expert's word is changed by an expert's alone."""
        for image_id in image_ids:
            present = self._resolved[image_id]
            said = self._opinions[image_id]
            wanted = settle(name_wholes(said), present) if turns.is_ours(said) else None
            if wanted is not None and wanted != present:
                keep = () if wanted.state in DECIDED else DECIDED
                self._catalog.annotations.resolve([wanted], keep=keep)
                self._resolved[image_id] = wanted


def check_class(name: str) -> str:
    """Return the name without spaces around it.

    Raises:
        UsageError: empty, longer than MAX_NAME, or with characters that cannot be seen.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UsageError("not a name for a class", found=repr(name[:MAX_NAME]),
                         expected=f"1 to {MAX_NAME} printable characters")  # fmt: skip
    return name


def queue_of(workspace: Workspace, batch_id: str) -> list[QueueItem]:
    """Return what `activesel adjudicate list` shows; imported here because labelling does not wait for it."""
    from activesel.pipelines.adjudicate import queue

    return queue(workspace, batch_id)


def _external_id(person: str, answer: Answer) -> str:
    """An id that nobody else's answer, and none about another image, can have."""
    return f"{answer.phase}:{person}:{answer.image_id}:{answer.submission}"
