"""What people said about a batch, read from the catalog and put side by side; measures nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.annotations import Annotation, Resolution, Role, Task
from activesel.catalog import Catalog, LabelColumns
from activesel.ids import find_ids, pack_ids, unique_ids
from activesel.pipelines.batch_file import PickRecord, read_batch
from activesel.settling import is_verdict, name_wholes
from activesel.workspace import Workspace

GOOD = "good"  # what no shape and no class means where nothing says how that class is called

Said = dict[str, dict[str, Annotation]]  # image id -> annotator -> the last that they said


@dataclass(frozen=True)
class BatchOpinions:
    """A batch's picks, what was wanted of people, and the last opinion of each about each image.

    people: of the batch's images; experts: so, what they thought before they saw anybody's answer; models: image id ->
    the newest pre-label. known: gold answers. gold_said: what people said about gold images, of this batch or earlier
    ones. assigned: whether an overlap was drawn beforehand. resolved: what counts at present.
    """

    batch_id: str
    picks: dict[str, PickRecord]
    tasks: dict[str, Task]
    people: Said
    experts: Said
    models: dict[str, Annotation]
    known: dict[str, str]
    gold_said: Said
    resolved: dict[str, Resolution]
    good: str
    notes: tuple[str, ...]

    @property
    def assigned(self) -> bool:
        return bool(self.tasks)

    @property
    def annotators(self) -> tuple[str, ...]:
        return tuple(sorted({name for said in self.people.values() for name in said}))

    @property
    def guidelines(self) -> frozenset[str]:
        """Versions of the guideline that the compared opinions follow; "" where one does not say."""
        return frozenset(one.guideline for i in self.blind for one in self.people[i].values())

    @property
    def blind(self) -> list[str]:
        """Ids of the images whose opinions were drawn to be compared, or happen to be two where nothing was drawn."""
        drawn = [i for i in self.people if self.tasks[i].overlap] if self.assigned else list(self.people)
        return [image_id for image_id in drawn if len(self.people[image_id]) > 1]


def read_opinions(workspace: Workspace, batch_id: str) -> BatchOpinions:
    """Read all about one batch. Gold images are left out of what people said of the batch.

    Raises:
        DataError: no such batch, or its file is gone.
    """
    picks = {pick.image_id: pick for pick in read_batch(workspace, batch_id).picks}
    with Catalog.open(workspace.catalog_place) as catalog:
        every = catalog.annotations.tasks()
        tasks = {task.image_id: task for task in every if task.batch_id == batch_id}
        gold_ids = {task.image_id for task in every if task.gold}
        opinions = catalog.annotations.read({*picks, *tasks, *gold_ids})
        resolved = catalog.annotations.resolutions()
        labels = catalog.label_columns()
    good, notes = _find_good(workspace, labels, list(picks), opinions)
    opinions = name_wholes(opinions, good)
    known = {one.image_id: verdict_of(one, good) for one in opinions if one.role is Role.gold and not one.skipped}
    people, experts, gold_said = _sort_out(opinions, known, {*picks, *tasks})
    models = {one.image_id: one for one in opinions if one.role is Role.model}
    if tasks:
        people = {image_id: said for image_id, said in people.items() if image_id in tasks}
    return BatchOpinions(batch_id, picks, tasks, people, experts, models, known, gold_said,
                         {i: resolved[i] for i in picks if i in resolved}, good, tuple(notes))  # fmt: skip


def verdict_of(annotation: Annotation, good: str) -> str:
    """Return the class of the whole image; of nothing that follows from no shapes, the good one."""
    return good if annotation.name is None else annotation.name


def verdicts_of(said: Mapping[str, Annotation], good: str) -> dict[str, str]:
    """Return what each annotator of one image called it; a skip is no verdict."""
    return {name: verdict_of(one, good) for name, one in said.items() if not one.skipped}


def draw_number(seed: int, *words: str) -> int:
    """Return 64 bits that chance decides, the same every time for the same words, whatever else there is."""
    text = "\x1f".join([str(seed), *words]).encode("utf8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def pair_up(said: Mapping[str, Mapping[str, str]], seed: int, fixed: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """Return (image, first annotator, second annotator), one pair an image, so that pairs are independent.

    Chance decides which of several and in which order, so that who is first means nothing; two annotators in ``fixed``
    are all there are, and keep that order.
    """
    pairs = []
    for image_id, of_image in said.items():
        names = sorted(of_image)
        if len(names) > 1 and len(fixed) != 2:
            chance = draw_number(seed, "pair", image_id)
            first = names.pop(chance % len(names))
            names = [first, names[chance // (len(names) + 1) % len(names)]]
        if len(names) > 1:
            pairs.append((image_id, names[0], names[1]))
    return pairs


def encode(verdicts: Iterable[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the place of each verdict in ``classes``."""
    place = {name: number for number, name in enumerate(classes)}
    return np.array([place[name] for name in verdicts], np.int64)


def _sort_out(opinions: Sequence[Annotation], known: Mapping[str, str], batch: set[str]) -> tuple[Said, Said, Said]:
    people: Said = {}
    experts: Said = {}
    gold_said: Said = {}
    for one in sorted(opinions, key=lambda one: one.created):  # the last counts; those without a time as recorded
        if one.role is Role.expert and one.image_id in batch and not is_verdict(one):
            experts.setdefault(one.image_id, {})[one.annotator] = one
        elif one.role is Role.annotator:
            place = gold_said if one.image_id in known else people
            place.setdefault(one.image_id, {})[one.annotator] = one
    return {i: said for i, said in people.items() if i in batch}, experts, gold_said


def _find_good(
    workspace: Workspace, labels: LabelColumns, batch: Sequence[str], opinions: Sequence[Annotation]
) -> tuple[str, list[str]]:
    """Return the class without a defect: of the settings, else the most frequent label, else the most frequent name.

    Labels of the batch itself do not count: they follow from this, and a second run must find what the first one did.
    """
    if workspace.config.embedding.good is not None:
        return workspace.config.embedding.good, []
    others = find_ids(unique_ids(pack_ids(batch)), labels.ids) < 0
    counts = np.bincount(labels.codes[others], minlength=len(labels.names))
    seen = Counter({name: n for name, n in zip(labels.names, counts.tolist(), strict=True) if n})
    seen = seen or Counter(one.name for one in opinions if one.name is not None and one.role is Role.annotator)
    if not seen:
        return GOOD, []
    good = min(seen, key=lambda name: (-seen[name], name))
    return good, [f"the good class is taken to be {good}, the most frequent label; set embedding.good to say otherwise"]
